/* dns/nsec3: the hashes of RFC 5155 appendix A, and those that ldns makes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "dns/nsec3.h"

#include <ldns/ldns.h>
#include <stdlib.h>
#include <string.h>

static void hashed(const char *text, const uint8_t *salt, uint8_t salt_length, unsigned iterations, char out[NSEC3_LABEL + 1])
{
	uint8_t name[NAME_SIZE], hash[NSEC3_HASH], digits[NSEC3_LABEL], label[1 + NSEC3_LABEL];
	struct why why;

	assert_int_equal(name_parse(text, strlen(text), NULL, name, &why), ERR_OK);
	nsec3_hash(name, salt, salt_length, iterations, hash);
	nsec3_digits(hash, digits);
	nsec3_label(digits, label);
	assert_int_equal(label[0], NSEC3_LABEL);
	memcpy(out, label + 1, NSEC3_LABEL);
	out[NSEC3_LABEL] = 0;
}

static void hashes_are_those_of_rfc_5155_appendix_a(void **state)
{
	static const uint8_t salt[] = {0xaa, 0xbb, 0xcc, 0xdd};
	static const char *const wanted[][2] = {
		{"example.", "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"},
		{"a.example.", "35mthgpgcu1qg68fab165klnsnk3dpvl"},
		{"ai.example.", "gjeqe526plbf1g8mklp59enfd789njgi"},
		{"ns1.example.", "2t7b4g4vsa5smi47k61mv5bv1a22bojr"},
		{"ns2.example.", "q04jkcevqvmu85r014c7dkba38o0ji5r"},
		{"w.example.", "k8udemvp1j2f7eg6jebps17vp3n8i58h"},
		{"*.w.example.", "r53bq7cc2uvmubfu5ocmm6pers9tk9en"},
		{"x.w.example.", "b4um86eghhds6nea196smvmlo4ors995"},
		{"y.w.example.", "ji6neoaepv8b5o6k4ev33abha8ht9fgc"},
		{"x.y.w.example.", "2vptu5timamqttgl4luu9kg21e0aor3s"},
		{"xx.example.", "t644ebqk9bibcna874givr6joj62mlhv"},
		{"2t7b4g4vsa5smi47k61mv5bv1a22bojr.example.", "kohar7mbb8dc2ce8a9qvl8hon4k53uhi"},
		{"X.y.W.EXAMPLE.", "2vptu5timamqttgl4luu9kg21e0aor3s"},
	};
	char got[NSEC3_LABEL + 1];

	(void)state;
	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
		hashed(wanted[i][0], salt, sizeof salt, 12, got);
		assert_string_equal(got, wanted[i][1]);
	}
}

static void random_name(char *out)
{
	static const char octets[] = "abcXYZ019-_*";
	unsigned labels = 1 + (unsigned)random() % 6;

	while (labels--) {
		for (unsigned n = 1 + (unsigned)random() % 30; n > 0; n--)
			*out++ = octets[(size_t)random() % (sizeof octets - 1)];
		*out++ = '.';
	}
	*out = 0;
}

static void hashes_are_those_of_ldns(void **state)
{
	(void)state;
	srandom(5155);
	for (unsigned i = 0; i < 1000; i++) {
		char name[200], got[NSEC3_LABEL + 1], *wanted;
		uint8_t salt[255], length = (uint8_t)(i % 3 ? random() % 255 : 0);
		unsigned iterations = (unsigned)random() % 20;
		ldns_rdf *owner, *hash;

		for (unsigned k = 0; k < sizeof salt; k++)
			salt[k] = (uint8_t)random();
		random_name(name);
		hashed(name, salt, length, iterations, got);
		owner = ldns_dname_new_frm_str(name);
		hash = ldns_nsec3_hash_name(owner, NSEC3_SHA1, (uint16_t)iterations, length, salt);
		assert_non_null(hash);
		wanted = ldns_rdf2str(hash);
		assert_int_equal(strlen(wanted), NSEC3_LABEL + 1);
		wanted[NSEC3_LABEL] = 0;
		assert_string_equal(got, wanted);
		free(wanted);
		ldns_rdf_deep_free(hash);
		ldns_rdf_deep_free(owner);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hashes_are_those_of_rfc_5155_appendix_a),
		cmocka_unit_test(hashes_are_those_of_ldns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
