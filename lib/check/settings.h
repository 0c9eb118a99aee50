/* check/settings: by what a survey is judged: bounds, the set that is expected, who the providers are, severities.
 */
#ifndef CHECK_SETTINGS_H
#define CHECK_SETTINGS_H

#include "check/finding.h"

struct verdict_provider {
	const char *name;
	const uint8_t *const *ns; size_t ns_count;
};

/* All of it is borrowed. Times in seconds. */
struct verdict_settings {
	uint32_t lag_warn, lag_crit, ttl_min, expire_warn, expire_crit;
	/* The apex NS set that must be shown; 0: that is not judged. */
	const uint8_t *const *expected; size_t expected_count;
	const struct verdict_provider *providers; size_t provider_count;
	/* The operator's bounds on the SOA's timers, outside of which they have no effect; 0: none. */
	uint32_t refresh_min, refresh_max, retry_min, retry_max, expire_min, expire_max;
	bool one_family;             /* only one address family was asked (-4, -6) */
	/* The given nameservers are to become the delegation: sets are compared with them, and who is behind is critical at once. */
	bool ready;
	bool serves;                 /* whoever asks serves the zone too, and has entered what with memory_serve */
	struct finding_levels levels;
};

#endif
