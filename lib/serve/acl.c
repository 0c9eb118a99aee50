#include "serve/acl.h"

static bool key_matches(const struct acl_rule *rule, const struct tsig_key *key)
{
	if (!rule->key)
		return true;
	return key && rule->key->algorithm == key->algorithm && name_equal(rule->key->name, key->name);
}

bool acl_allows(const struct acl *acl, const struct net_addr *from, const struct tsig_key *key, bool over_tls)
{
	for (size_t i = 0; i < acl->count; i++) {
		const struct acl_rule *rule = &acl->rules[i];

		if ((rule->any_address || net_prefix_has(&rule->prefix, from)) && key_matches(rule, key) && (over_tls || !rule->tls))
			return !rule->deny;
	}
	return false;
}
