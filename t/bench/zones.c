/* Zones for the bench, and queries that fit them. All is made of NAMES and SEED: the same twice gives the same twice.
 *
 *     zones flat NAMES SEED                the text of the zone bench.test.: one A record at each name, in canonical order
 *     zones tld NAMES SEED                 the text of the zone test.: delegations, some with DS, some with glue
 *     zones KIND NAMES SEED COUNT          queries, one a line: name, type, RCODE and number of answers that are right, `-` for any
 *
 * KIND: existing, missing (between existing names) and flood (all behind the last name) of the flat zone; referral and nxdomain of
 * the tld; source: names of the zone of t/bench/source. COUNT queries cover the names in random order, more than once if there
 * are fewer names.
 *
 * The name of an index begins with eight letters that are a one-to-one function of it, so that index NAMES and all above it surely
 * do not exist. They come from 32 letters, the first of them in the order of the DNS; w to z are left for the flood.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROVIDERS = 1000 };

struct label { char text[16]; uint32_t index; };

static uint32_t names;
static uint64_t seed;

/* One step of splitmix64: a good mixture of all bits of x. */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static uint64_t draw(void)
{
	static uint64_t state;

	return mix(seed ^ mix(++state));
}

/* One-to-one on 40 bits: each step can be undone. */
static uint64_t scatter(uint64_t x)
{
	const uint64_t mask = (1ULL << 40) - 1;

	x = (x + mix(seed)) & mask;
	for (int i = 0; i < 3; i++) {
		x = (x ^ x >> 20) & mask;
		x = x * 0xd6e8feb86659fd93 & mask;
	}
	return x ^ x >> 20;
}

/* 8 to 12 letters. */
static struct label label_of(uint32_t index)
{
	static const char letters[] = "0123456789abcdefghijklmnopqrstuv";
	uint64_t unique = scatter(index), more = mix(unique ^ seed);
	struct label label = {.index = index};
	unsigned length = 8 + (unsigned)(more >> 60) % 5;

	for (unsigned i = 0; i < length; i++)
		label.text[i] = letters[(i < 8 ? unique >> 5 * (7 - i) : more >> 5 * (i - 8)) & 31];
	return label;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(((const struct label *)a)->text, ((const struct label *)b)->text);
}

static struct label *sorted_labels(void)
{
	struct label *labels = calloc(names, sizeof *labels);

	if (!labels)
		abort();
	for (uint32_t i = 0; i < names; i++)
		labels[i] = label_of(i);
	qsort(labels, names, sizeof *labels, by_text);
	return labels;
}

static unsigned octet(uint32_t index, int which)
{
	return (unsigned)(mix(index) >> 8 * which & 255);
}

static void write_flat(void)
{
	struct label *labels = sorted_labels();

	puts("$ORIGIN bench.test.\n$TTL 300\n@ 3600 IN SOA ns host 1 3600 600 604800 300\n@ 3600 IN NS ns.outside.invalid.");
	for (uint32_t i = 0; i < names; i++) {
		uint32_t n = labels[i].index;

		printf("%s A 10.%u.%u.%u\n", labels[i].text, octet(n, 0), octet(n, 1), octet(n, 2));
	}
	free(labels);
}

/* --- the tld --------------------------------------------------------------- */

/* What a delegation looks like: of eight, two have their name servers below themselves, two in the domain of a provider in the
 * zone, four outside; three in ten have a DS. */
static void write_delegation(const struct label *label)
{
	uint64_t r = mix(label->index ^ seed << 1);
	const char *name = label->text;

	switch (r & 7) {
	case 0:
		printf("ns1.%s AAAA 2001:db8:%x::1\nns2.%s AAAA 2001:db8:%x::2\n", name, (unsigned)(r >> 48), name, (unsigned)(r >> 48));
		/* fallthrough */
	case 1:
		printf("%s NS ns1.%s\n%s NS ns2.%s\nns1.%s A 192.0.2.1\nns2.%s A 192.0.2.2\n", name, name, name, name, name, name);
		break;
	case 2:
	case 3:
		printf("%s NS ns1.provider%u\n%s NS ns2.provider%u\n", name, (unsigned)(r >> 16) % PROVIDERS, name, (unsigned)(r >> 16) % PROVIDERS);
		break;
	default:
		printf("%s NS ns1.host%u.invalid.\n%s NS ns2.host%u.invalid.\n", name, (unsigned)(r >> 16) % 5000, name, (unsigned)(r >> 16) % 5000);
	}
	if ((r >> 40 & 255) % 10 < 3) {
		printf("%s DS %u 13 2 ", name, (unsigned)(r >> 20 & 65535));
		for (int i = 0; i < 4; i++)
			printf("%016llX", (unsigned long long)mix(r + (uint64_t)i));
		puts("");
	}
}

static void write_tld(void)
{
	struct label *labels = sorted_labels();

	puts("$ORIGIN test.\n$TTL 86400\n@ IN SOA a.nic host.nic 1 1800 900 604800 3600\n@ IN NS a.nic\n@ IN NS b.nic\n"
	     "a.nic A 192.0.2.53\na.nic AAAA 2001:db8::53\nb.nic A 198.51.100.53\nb.nic AAAA 2001:db8:1::53");
	for (unsigned i = 0; i < PROVIDERS; i++)
		printf("provider%u NS ns1.provider%u\nprovider%u NS ns2.provider%u\nns1.provider%u A 198.51.100.1\n"
			"ns2.provider%u A 198.51.100.2\n", i, i, i, i, i, i);
	for (uint32_t i = 0; i < names; i++)
		write_delegation(&labels[i]);
	free(labels);
}

/* --- queries --------------------------------------------------------------- */

static void write_query(const char *kind, uint32_t i)
{
	if (strcmp(kind, "existing") == 0)
		printf("%s.bench.test A 0 1\n", label_of(i).text);
	else if (strcmp(kind, "missing") == 0)
		printf("%s.bench.test A 3 0\n", label_of(names + i).text);
	else if (strcmp(kind, "flood") == 0)
		printf("%c%s.bench.test A 3 0\n", (char)('w' + mix(i) % 4), label_of(i).text);
	else if (strcmp(kind, "referral") == 0)
		printf("%s%s.test A 0 0\n", mix(i) & 1 ? "www." : "", label_of(i).text);
	else if (strcmp(kind, "nxdomain") == 0)
		printf("%s%s.test A 3 0\n", mix(i) & 1 ? "www." : "", label_of(names + i).text);
	else
		printf("h%07u.bench.test A 0 1\n", i);
}

static bool write_queries(const char *kind, uint32_t count)
{
	static const char *const kinds[] = {"existing", "missing", "flood", "referral", "nxdomain", "source"};
	uint32_t *order = malloc(sizeof *order * names);
	bool known = false;

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		known |= strcmp(kind, kinds[i]) == 0;
	if (!known || !order) {
		free(order);
		return false;
	}
	for (uint32_t i = 0; i < names; i++)
		order[i] = i;
	for (uint32_t done = 0; done < count; done += names) {
		for (uint32_t i = names; i > 1; i--) {
			uint32_t other = (uint32_t)(draw() % i), kept = order[i - 1];

			order[i - 1] = order[other];
			order[other] = kept;
		}
		for (uint32_t i = 0; i < names && done + i < count; i++)
			write_query(kind, order[i]);
	}
	free(order);
	return true;
}

int main(int argc, char *argv[])
{
	static const char usage[] =
		"usage: zones flat|tld NAMES SEED\n       zones existing|missing|flood|referral|nxdomain|source NAMES SEED COUNT\n";
	bool done = argc == 4 || argc == 5;

	if (done) {
		names = (uint32_t)strtoul(argv[2], NULL, 10);
		seed = strtoull(argv[3], NULL, 10);
		done = names > 0 && names < 1u << 30;
	}
	if (done && argc == 5)
		done = write_queries(argv[1], (uint32_t)strtoul(argv[4], NULL, 10));
	else if (done && strcmp(argv[1], "flat") == 0)
		write_flat();
	else if (done && strcmp(argv[1], "tld") == 0)
		write_tld();
	else
		done = false;
	if (!done) {
		fputs(usage, stderr);
		return 2;
	}
	return fflush(stdout) == 0 ? 0 : 1;
}
