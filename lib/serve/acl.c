#include "serve/acl.h"

#include <string.h>
#include <strings.h>

static bool key_matches(const struct acl_rule *rule, const struct tsig_key *key)
{
	if (!rule->key)
		return true;
	return key && rule->key->algorithm == key->algorithm && name_equal(rule->key->name, key->name);
}

/* A final dot says nothing in a certificate. */
static bool same_name(const char *wanted, const char *shown)
{
	size_t n = strlen(wanted);

	if (n > 1 && wanted[n - 1] == '.')
		n--;
	return strlen(shown) == n && strncasecmp(wanted, shown, n) == 0;
}

static bool shows_name(const struct tls_shown *shown, const char *name)
{
	if (!shown || !shown->verified)
		return false;
	for (const char *at = shown->names; *at; at += strlen(at) + 1)
		if (same_name(name, at))
			return true;
	return false;
}

static bool shows_pin(const struct tls_shown *shown, const struct acl_rule *rule)
{
	for (size_t i = 0; shown && i < rule->pin_count; i++)
		if (memcmp(rule->pins[i], shown->pin, CERT_PIN_SIZE) == 0)
			return true;
	return false;
}

static bool is_secure_enough(const struct acl_rule *rule, const struct acl_client *client)
{
	if (!rule->tls && !rule->cert_name && rule->pin_count == 0)
		return true;
	return client->tls && (!rule->cert_name || shows_name(client->shown, rule->cert_name)) &&
		(rule->pin_count == 0 || shows_pin(client->shown, rule));
}

bool acl_allows(const struct acl *acl, const struct acl_client *client)
{
	for (size_t i = 0; i < acl->count; i++) {
		const struct acl_rule *rule = &acl->rules[i];

		if ((rule->any_address || net_prefix_has(&rule->prefix, client->from)) && key_matches(rule, client->key) &&
		    is_secure_enough(rule, client))
			return !rule->deny;
	}
	return false;
}
