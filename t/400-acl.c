/* serve/acl: rules about addresses, keys and certificates. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "serve/acl.h"

#include <string.h>

static const uint8_t pins[2][CERT_PIN_SIZE] = {{1}, {2}};
static struct net_addr here;

/* `names` of a certificate, each ended by \0; NULL: none was shown. */
static bool allows(const struct acl_rule *rule, bool tls, const char *names, bool verified, unsigned pin)
{
	struct acl acl = {rule, 1};
	struct tls_shown shown = {.verified = verified, .pin = {(uint8_t)pin}, .names = names, .text = ""};

	return acl_allows(&acl, &(struct acl_client){&here, NULL, tls, names ? &shown : NULL});
}

static void a_rule_for_tls_does_not_hold_without_it(void **state)
{
	struct acl_rule rule = {.any_address = true, .tls = true};

	(void)state;
	assert_false(allows(&rule, false, NULL, false, 0));
	assert_true(allows(&rule, true, NULL, false, 0));
	assert_true(allows(&rule, true, "a\0", false, 0));
}

static void a_rule_for_a_name_wants_a_verified_certificate_for_it(void **state)
{
	struct acl_rule rule = {.any_address = true, .cert_name = "Down.Example."};

	(void)state;
	assert_true(allows(&rule, true, "down.example\0", true, 0));
	assert_true(allows(&rule, true, "up.example\0down.example\0", true, 0));
	assert_false(allows(&rule, true, "down.example\0", false, 0));
	assert_false(allows(&rule, true, "up.example\0", true, 0));
	assert_false(allows(&rule, true, "down.example.net\0", true, 0));
	assert_false(allows(&rule, true, "*.example\0", true, 0));
	assert_false(allows(&rule, true, "", true, 0));
	assert_false(allows(&rule, true, NULL, true, 0));
	assert_false(allows(&rule, false, NULL, false, 0));
	assert_false(allows(&rule, false, "down.example\0", true, 0));   /* whatever is said of it: it is not over TLS */
}

static void a_rule_for_pins_wants_one_of_them(void **state)
{
	struct acl_rule rule = {.any_address = true, .pins = pins, .pin_count = 2};

	(void)state;
	assert_true(allows(&rule, true, "", false, 1));
	assert_true(allows(&rule, true, "any\0", true, 2));
	assert_false(allows(&rule, true, "any\0", true, 3));
	assert_false(allows(&rule, true, NULL, false, 1));
	assert_false(allows(&rule, false, "any\0", true, 1));
	rule.cert_name = "down.example";                                  /* both */
	assert_true(allows(&rule, true, "down.example\0", true, 1));
	assert_false(allows(&rule, true, "down.example\0", false, 1));
	assert_false(allows(&rule, true, "down.example\0", true, 3));
	assert_false(allows(&rule, true, "up.example\0", true, 1));
}

static void the_first_rule_that_fits_decides(void **state)
{
	struct acl_rule rules[2] = {{.any_address = true, .cert_name = "bad.example", .deny = true}, {.any_address = true}};
	struct tls_shown bad = {.verified = true, .names = "bad.example\0", .text = ""},
		good = {.verified = true, .names = "good.example\0", .text = ""};
	struct acl acl = {rules, 2};

	(void)state;
	assert_false(acl_allows(&acl, &(struct acl_client){&here, NULL, true, &bad}));
	assert_true(acl_allows(&acl, &(struct acl_client){&here, NULL, true, &good}));
	assert_false(acl_allows(&(struct acl){0}, &(struct acl_client){&here, NULL, true, &good}));
	net_prefix_parse(&rules[1].prefix, "192.0.2.0/24", NULL);
	rules[1].any_address = false;
	assert_true(acl_allows(&acl, &(struct acl_client){&here, NULL, true, &good}));
	net_prefix_parse(&rules[1].prefix, "198.51.100.0/24", NULL);
	assert_false(acl_allows(&acl, &(struct acl_client){&here, NULL, true, &good}));
}

static int group_setup(void **state)
{
	(void)state;
	return net_addr_parse(&here, "192.0.2.1", 53, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rule_for_tls_does_not_hold_without_it),
		cmocka_unit_test(a_rule_for_a_name_wants_a_verified_certificate_for_it),
		cmocka_unit_test(a_rule_for_pins_wants_one_of_them),
		cmocka_unit_test(the_first_rule_that_fits_decides),
	};

	return cmocka_run_group_tests_name("serve/acl", tests, group_setup, NULL);
}
