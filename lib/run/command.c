#include "config.h"

#include "run/command.h"

#include "dns/name.h"
#include "dns/text.h"
#include "run/conf.h"
#include "run/key.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- verbs and options ----------------------------------------------------------- */

enum { ALL = 1, FULL = 2, FROM = 4, KEY = 8, OUTPUT = 16, QUIET = 32, TEMPLATE = 64, TLS = 128, ASKING = 256, RATE = 512,
	WATCH = 1024, DAEMON = 2048 };   /* bits of options */
enum { ANY_NUMBER = 100000 };        /* of zones: more than a command line holds */
enum { TIMEOUT_MAX = 600 };          /* seconds that one server may be waited for */

static const struct option {
	const char *name;            /* without dashes */
	char letter;                 /* 0: none */
	const char *value;           /* what it takes, NULL: nothing */
	unsigned verbs;              /* the bit that a verb must have; 0: any verb */
	const char *help;
} options[] = {
	{"conf", 'c', "FILE", 0, "the configuration file"},
	{"socket", 's', "SOCKET", 0, "the daemon's control socket, instead of the one that the configuration names"},
	{"json", 0, NULL, 0, "print one JSON document"},
	{"help", 'h', NULL, 0, "print this and exit"},
	{"version", 0, NULL, 0, "print the version and exit"},
	{"all", 0, NULL, ALL, "all zones"},
	{"full", 0, NULL, FULL, "transfer the whole zone (AXFR), even if the serial is not newer"},
	{"from", 0, "SERVER", FROM, "where to transfer from: a remote's name; for pull and diff ADDRESS[@PORT]"},
	{"key", 0, "KEY", KEY, "the TSIG key: [ALGORITHM:]NAME:SECRET"},
	{"output", 'o', "FILE", OUTPUT, "write the zone file there, not to standard output"},
	{"template", 0, "NAME", TEMPLATE, "the template of the configuration that applies to the zone; the default one if left out"},
	{"tls", 0, NULL, TLS, "over TLS (RFC 9103), port 853; with none of the next three the server is not checked, but shown"},
	{"auth-name", 0, "NAME", TLS, "the name that its certificate must be for"},
	{"ca", 0, "FILE", TLS, "the authorities that are believed then (PEM), instead of those of the system"},
	{"pin", 0, "PIN", TLS, "the SHA-256 of its public key, in base64"},
	{"cert", 0, "FILE", TLS, "the certificate to show if it wants one (PEM),"},
	{"cert-key", 0, "FILE", TLS, "and its private key"},
	{"ns", 0, "SERVER", ASKING, "NAME[/ADDRESS[@PORT]] of a nameserver to ask; may be given again"},
	{"resolver", 0, "ADDRESS", ASKING, "ADDRESS[@PORT] of the resolver, instead of the system's"},
	{"parent", 0, "ADDRESS", ASKING, "ADDRESS[@PORT] of a server of the parent zone, to ask for the delegation"},
	{"port", 0, "PORT", ASKING, "the port of nameservers that are found by name"},
	{"timeout", 0, "TIME", ASKING, "how long one server is waited for, 5s"},
	{"ipv4", '4', NULL, ASKING, "ask over IPv4 alone"},
	{"ipv6", '6', NULL, ASKING, "ask over IPv6 alone"},
	{"rate", 0, "N", RATE, "questions a second to any one server, 1000; 0: no limit"},
	{"watch", 0, NULL, WATCH, "go on until parent and children show the new set"},
	{"from-daemon", 0, NULL, DAEMON, "ask nobody: what the daemon's own checks found last (check.every)"},
	{"quiet", 'q', NULL, QUIET, "say nothing where all is well"},
};
enum { OPTIONS = sizeof options / sizeof *options };

static const struct verb {
	const char *name;
	enum command_verb verb;
	const char *arguments, *summary, *help;
	unsigned options;
	size_t zones_min, zones_max;
} verbs[] = {
	{"status", COMMAND_STATUS, "[ZONE...]", "the state of the zones",
		"Prints a table: zone, serial, state, the primary that it came from, age, time to the next refresh and to expiry,\n"
		"and the reason where something is wrong. For one zone: all that is known of it.\n"
		"On a terminal the columns are aligned; otherwise they are separated by tabs, and times are in seconds.", 0, 0, ANY_NUMBER},
	{"transfer", COMMAND_TRANSFER, "[--full] [--from REMOTE] ZONE...", "pull zones now, and wait for it",
		"Exits with 0 only if all of the zones are current afterwards. With --full the whole zone is transferred, even if\n"
		"the primary's serial is not newer. --from names one of the zone's primaries by its name in the configuration.",
		FULL | FROM, 1, ANY_NUMBER},
	{"refresh", COMMAND_REFRESH, "ZONE... | --all", "ask the primaries for their serial now, transfer if newer", "",
		ALL, 1, ANY_NUMBER},
	{"notify", COMMAND_NOTIFY, "ZONE... | --all", "send NOTIFY to the servers downstream", "", ALL, 1, ANY_NUMBER},
	{"write", COMMAND_WRITE, "ZONE... | --all", "bring zone files up to date; they are durable when it returns", "",
		ALL, 1, ANY_NUMBER},
	{"reload", COMMAND_RELOAD, "", "re-read the configuration, and the files of zones with source = \"file\"",
		"Nothing changes if the configuration has an error, which is printed.", 0, 0, 0},
	{"add", COMMAND_ADD, "[--template NAME] ZONE...", "add zones at run time",
		"They are served from then on, with the settings of the template, and survive a restart. A zone that is in the\n"
		"configuration, or a member of a catalog, cannot be added.", TEMPLATE, 1, ANY_NUMBER},
	{"remove", COMMAND_REMOVE, "ZONE...", "remove zones that were added at run time",
		"Nothing is left of them, the zone file neither.", 0, 1, ANY_NUMBER},
	{"hold", COMMAND_HOLD, "ZONE...", "take no new versions of zones",
		"They are served as they are until they are released, or expire: no primary is asked, and NOTIFY is not heeded. Survives\n"
		"a restart.", 0, 1, ANY_NUMBER},
	{"release", COMMAND_RELEASE, "ZONE...", "end what hold began", "The primaries are asked at once.", 0, 1, ANY_NUMBER},
	{"purge", COMMAND_PURGE, "ZONE...", "forget what is known of zones, and transfer them anew",
		"The version that is served, the zone file, and what the database has of the zone go: until it has been transferred\n"
		"queries are answered with SERVFAIL.", 0, 1, ANY_NUMBER},
	{"dump", COMMAND_DUMP, "ZONE [NAME [TYPE]]", "print what is served, as zone file lines in canonical order",
		"With NAME only the records of that name (absolute, with or without its final dot), with TYPE only those of the type.",
		0, 1, 1},
	{"stats", COMMAND_STATS, "", "print the counters", "They are never reset by being read.", 0, 0, 0},
	{"stop", COMMAND_STOP, "", "stop the daemon", "", 0, 0, 0},
	{"pull", COMMAND_PULL, "ZONE --from ADDRESS[@PORT] [--key [ALG:]NAME:SECRET] [--tls ...] [-o FILE] [--quiet]",
		"transfer a zone once, without a daemon",
		"The zone is written to standard output, or to FILE, which is replaced at once when the transfer is complete.\n"
		"ALG is hmac-sha256 if it is left out. Other users of the machine can see a secret on the command line.",
		FROM | KEY | OUTPUT | QUIET | TLS, 1, 1},
	{"check", COMMAND_CHECK, "[ZONE...] [--ns NAME[/ADDRESS[@PORT]]...] [--resolver ADDRESS] [--parent ADDRESS] "
		"[--timeout TIME] [--from-daemon] [--quiet] ...",
		"whether zones are in step at every nameserver of their delegation",
		"Asks the parent's servers who serves the zone, the nameservers themselves, and prints what is wrong; without ZONE, for"
		" all zones of the\n"
		"configuration. Works without a daemon; with --from-daemon nobody is asked but the daemon, for what its own checks found last.\n"
		"What the nameservers show is remembered in check/ below the state directory; without a configuration that is\n"
		LOCALSTATEDIR "/lib/lockstep. Where that cannot be written, standard error says so, and nobody lags.\n"
		"The exit status is that of a monitoring plugin: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.\n"
		"What the findings mean is in the manual, lockstep(1).", QUIET | ASKING | DAEMON, 0, ANY_NUMBER},
	{"diff", COMMAND_DIFF, "ZONE [--ns NAME[/ADDRESS[@PORT]]...] [--from ADDRESS[@PORT] [--key KEY] [--tls ...]] [--rate N] ...",
		"whether every nameserver answers as the zone says",
		"Takes the zone from the daemon (without one: from its zone file, or with --from by AXFR), asks each public nameserver for\n"
		"every RRset and for a sample of what must not exist, and prints what differs.\n"
		"Exit status: 0 no difference, 2 there are some, or a server is lame or silent, 3 not everything could be told;\n"
		"1 where check.severity makes warnings of them.",
		FROM | KEY | TLS | QUIET | ASKING | RATE, 1, 1},
	{"ready", COMMAND_READY, "ZONE --ns NAME[/ADDRESS[@PORT]]... [--watch] ...", "whether a new set of nameservers would be safe",
		"Every check, with the given nameservers as the ones that the registrar is to be told; then yes or no, and what to mend, in order.\n"
		"With --watch it goes on until the parent and all of them show the new set, and caches have forgotten the old one.\n"
		"Exit status: 0 yes, 1 yes with warnings, 2 no, 3 it could not be told.",
		QUIET | ASKING | WATCH, 1, 1},
	{"config", COMMAND_CONFIG, "", "print the configuration as understood, defaults and templates filled in",
		"Works without a daemon. Secrets that stand in the configuration are shown as \"(secret)\".", 0, 0, 0},
};
enum { VERBS = sizeof verbs / sizeof *verbs };

/* --- what is printed ------------------------------------------------------------- */

static enum command_outcome usage(const struct verb *verb, const char *format, ...) __attribute__((format(printf, 2, 3)));

static enum command_outcome usage(const struct verb *verb, const char *format, ...)
{
	struct why why;
	char text[WHY_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	err_why(&why, ERR_SYNTAX, "%s", text);   /* without control characters */
	fprintf(stderr, "lockstep%s%s: %s\n", verb ? " " : "", verb ? verb->name : "", why.text);
	if (verb)
		fprintf(stderr, "usage: lockstep %s %s   (more: lockstep %s --help)\n", verb->name, verb->arguments, verb->name);
	else
		fprintf(stderr, "usage: lockstep [-c FILE | -s SOCKET] [--json] VERB ...   (more: lockstep --help)\n");
	return COMMAND_USAGE;
}

static void print_options(unsigned bits, bool general)
{
	for (size_t i = 0; i < OPTIONS; i++) {
		const struct option *option = &options[i];
		char left[40], letter[8] = "";

		if (option->verbs ? !(option->verbs & bits) : !general)
			continue;
		if (option->letter)
			snprintf(letter, sizeof letter, "-%c, ", option->letter);
		snprintf(left, sizeof left, "%s--%s%s%s", letter, option->name, option->value ? " " : "",
			option->value ? option->value : "");
		printf("  %-22s %s\n", left, option->help);
	}
}

static void print_help(void)
{
	printf("usage: lockstep [-c FILE | -s SOCKET] [--json] VERB ...\n\n"
		"Asks a running lockstepd over its control socket, or works alone.\n\nVerbs (more: lockstep VERB --help):\n");
	for (size_t i = 0; i < VERBS; i++)
		printf("  %-10s %s\n", verbs[i].name, verbs[i].summary);
	printf("\nOptions, before or after the verb:\n");
	print_options(0, true);
	printf("\nThe configuration file is %s if none is given.\n"
		"Exit status: 0 done, 1 it failed, 2 wrong usage. Manual: lockstep(1).\n", conf_default_path());
}

static void print_verb_help(const struct verb *verb)
{
	printf("usage: lockstep %s%s%s\n\n%c%s.\n", verb->name, *verb->arguments ? " " : "", verb->arguments,
		toupper((unsigned char)*verb->summary), verb->summary + 1);
	if (*verb->help)
		printf("%s\n", verb->help);
	printf("\nOptions:\n");
	print_options(verb->options, true);
}

/* --- parsing --------------------------------------------------------------------- */

/* The words of the command line that are no options, and the options seen. */
struct words {
	const char **items;
	size_t count;
	unsigned used;               /* bits of the verbs' options */
	bool help, version;
};

static const struct option *find_option(const char *name, size_t length, char letter)
{
	for (size_t i = 0; i < OPTIONS; i++)
		if (letter ? options[i].letter == letter
			: strlen(options[i].name) == length && memcmp(options[i].name, name, length) == 0)
			return &options[i];
	return NULL;
}

static void set_tls_option(struct command_tls *tls, const char *name, const char *value)
{
	if (strcmp(name, "tls") == 0)
		tls->on = true;
	else if (strcmp(name, "auth-name") == 0)
		tls->auth_name = value;
	else if (strcmp(name, "ca") == 0)
		tls->ca = value;
	else if (strcmp(name, "pin") == 0)
		tls->pin = value;
	else if (strcmp(name, "cert") == 0)
		tls->cert = value;
	else
		tls->key = value;
}

/* A time, or milliseconds: "500ms". */
static bool read_timeout(const char *value, uint32_t *ms)
{
	size_t length = strlen(value);
	uint32_t number;

	if (length > 2 && strcmp(value + length - 2, "ms") == 0 && text_number(value, length - 2, TIMEOUT_MAX * 1000, ms))
		return *ms > 0;
	if (!text_period(value, length, &number) || !number || number > TIMEOUT_MAX)
		return false;
	*ms = number * 1000;
	return true;
}

/* False: it is not such a value. */
static bool set_asking_option(struct command_asking *asking, const char *name, const char *value)
{
	uint32_t number = 0;

	if (strcmp(name, "resolver") == 0)
		asking->resolver = value;
	else if (strcmp(name, "parent") == 0)
		asking->parent = value;
	else if (strcmp(name, "ipv4") == 0)
		asking->v4 = true;
	else if (strcmp(name, "ipv6") == 0)
		asking->v6 = true;
	else if (strcmp(name, "ns") == 0)
		asking->ns[asking->ns_count++] = value;
	else if (strcmp(name, "port") == 0 && text_number(value, strlen(value), 65535, &number) && number)
		asking->port = (uint16_t)number;
	else if (strcmp(name, "timeout") == 0 && read_timeout(value, &number))
		asking->timeout_ms = number;
	else if (strcmp(name, "rate") == 0 && text_number(value, strlen(value), UINT32_MAX, &number))
		asking->rate = number;
	else
		return false;
	return true;
}

static void set_option(struct command *command, struct words *words, const struct option *option, const char *value)
{
	words->used |= option->verbs;
	if (strcmp(option->name, "conf") == 0)
		command->conf = value;
	else if (strcmp(option->name, "socket") == 0)
		command->socket = value;
	else if (strcmp(option->name, "json") == 0)
		command->json = true;
	else if (strcmp(option->name, "help") == 0)
		words->help = true;
	else if (strcmp(option->name, "version") == 0)
		words->version = true;
	else if (strcmp(option->name, "all") == 0)
		command->all = true;
	else if (strcmp(option->name, "full") == 0)
		command->full = true;
	else if (strcmp(option->name, "from") == 0)
		command->from = value;
	else if (strcmp(option->name, "key") == 0)
		command->key = value;
	else if (strcmp(option->name, "template") == 0)
		command->template_name = value;
	else if (option->verbs == TLS)
		set_tls_option(&command->tls, option->name, value);
	else if (strcmp(option->name, "output") == 0)
		command->output = value;
	else if (strcmp(option->name, "quiet") == 0)
		command->quiet = true;
	else if (strcmp(option->name, "watch") == 0)
		command->watch = true;
	else if (strcmp(option->name, "from-daemon") == 0)
		command->from_daemon = true;
}

/* One option at argv[*i], which goes to its value if that is the next word. */
static enum command_outcome take_option(struct command *command, struct words *words, char *const argv[], int *i)
{
	const char *word = argv[*i], *equals = NULL, *value = NULL;
	const struct option *option;

	if (word[1] == '-') {
		equals = strchr(word, '=');
		option = find_option(word + 2, equals ? (size_t)(equals - word - 2) : strlen(word + 2), 0);
		value = equals ? equals + 1 : NULL;
	} else {
		option = find_option(NULL, 0, word[1]);
		value = word[2] ? word + 2 : NULL;
	}
	if (!option)
		return usage(NULL, "there is no option %.60s", word);
	if (!option->value && value)
		return usage(NULL, "the option --%s takes no value", option->name);
	if (option->value && !value && !(value = argv[++*i]))
		return usage(NULL, "the option --%s wants a value: %s", option->name, option->value);
	if (option->value && !*value)
		return usage(NULL, "the value of --%s is empty", option->name);
	if (option->verbs & (ASKING | RATE) && !set_asking_option(&command->asking, option->name, value))
		return usage(NULL, "--%s: \"%.60s\" is not %s", option->name, value, option->letter ? "taken" : option->value);
	set_option(command, words, option, value);
	return COMMAND_RUN;
}

static enum command_outcome collect(struct command *command, struct words *words, int argc, char *const argv[])
{
	bool ended = false;

	for (int i = 1; i < argc; i++) {
		if (ended || argv[i][0] != '-' || !argv[i][1])
			words->items[words->count++] = argv[i];
		else if (strcmp(argv[i], "--") == 0)
			ended = true;
		else if (take_option(command, words, argv, &i) != COMMAND_RUN)
			return COMMAND_USAGE;
	}
	return COMMAND_RUN;
}

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < VERBS; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

static enum command_outcome no_such_verb(const char *name)
{
	const char *names[VERBS + 1];
	char hint[128];

	for (size_t i = 0; i < VERBS; i++)
		names[i] = verbs[i].name;
	names[VERBS] = NULL;
	return usage(NULL, "there is no verb \"%.60s\"%s", name, key_hint(name, names, hint));
}

static enum command_outcome check_options(const struct verb *verb, const struct words *words)
{
	for (size_t i = 0; i < OPTIONS; i++)
		if (options[i].verbs & words->used & ~verb->options)
			return usage(verb, "it has no option --%s", options[i].name);
	return COMMAND_RUN;
}

/* NULL: it was said what is wrong. */
static char *absolute_name(const struct verb *verb, const char *word)
{
	char text[NAME_TEXT_SIZE];
	uint8_t name[NAME_SIZE];
	struct why why;

	if (name_parse(word, strlen(word), NULL, name, &why)) {
		usage(verb, "%s", why.text);
		return NULL;
	}
	return strdup(name_text(name, text));
}

static enum command_outcome take_zones(struct command *command, const struct verb *verb, const char *const *words, size_t n)
{
	if (command->all && n)
		return usage(verb, "zones and --all do not go together");
	if (n < verb->zones_min && !command->all)
		return usage(verb, "a zone is missing");
	if (n > verb->zones_max)
		return usage(verb, "too many arguments: \"%.60s\"", words[verb->zones_max]);
	command->zones = calloc(n + 1, sizeof *command->zones);
	for (size_t i = 0; command->zones && i < n; i++) {
		command->zones[i] = absolute_name(verb, words[i]);
		if (!command->zones[i])
			return COMMAND_USAGE;
		command->zone_count++;
	}
	return command->zones ? COMMAND_RUN : usage(verb, "out of memory");
}

/* dump: what stands behind the zone. */
static enum command_outcome take_name_and_type(struct command *command, const struct verb *verb, const char *const *words, size_t n)
{
	if (n > 2)
		return usage(verb, "too many arguments: \"%.60s\"", words[2]);
	if (n > 0 && !(command->name = absolute_name(verb, words[0])))
		return COMMAND_USAGE;
	if (n > 1 && !(command->type = strdup(words[1])))
		return usage(verb, "out of memory");
	for (char *c = command->type; c && *c; c++)
		*c = (char)toupper((unsigned char)*c);
	return COMMAND_RUN;
}

static enum command_outcome check_tls(const struct verb *verb, const struct command_tls *tls)
{
	if (!tls->on)
		return usage(verb, "--tls is missing: what else is said is about it");
	if (tls->ca && !tls->auth_name)
		return usage(verb, "--ca has no meaning without --auth-name");
	if (!tls->cert != !tls->key)
		return usage(verb, "%s is missing", tls->cert ? "--cert-key" : "--cert");
	return COMMAND_RUN;
}

static enum command_outcome take_verb(struct command *command, const struct words *words)
{
	const struct verb *verb = words->count ? find_verb(words->items[0]) : NULL;
	const char *const *arguments = words->items + 1;
	size_t n = words->count - 1, zones = n;

	if (!words->count)
		return usage(NULL, "a verb is missing");
	if (!verb)
		return no_such_verb(words->items[0]);
	if (words->help) {
		print_verb_help(verb);
		return COMMAND_SHOWN;
	}
	command->verb = verb->verb;
	command->verb_name = verb->name;
	if (command->conf && command->socket)
		return usage(verb, "-c and -s do not go together");
	if (check_options(verb, words) != COMMAND_RUN)
		return COMMAND_USAGE;
	if (verb->verb == COMMAND_PULL && !command->from)
		return usage(verb, "--from is missing: the address of the server");
	if (verb->verb == COMMAND_READY && !command->asking.ns_count)
		return usage(verb, "--ns is missing: the nameservers that are to be told");
	if (verb->verb == COMMAND_DIFF && !command->from && words->used & (KEY | TLS))
		return usage(verb, "--from is missing: the address of the server");
	if (command->asking.v4 && command->asking.v6)
		return usage(verb, "-4 and -6 do not go together");
	if (command->from_daemon && words->used & ASKING)
		return usage(verb, "with --from-daemon nobody is asked: --ns, --resolver and the like have no meaning");
	if (verb->options & TLS && words->used & TLS && check_tls(verb, &command->tls) != COMMAND_RUN)
		return COMMAND_USAGE;
	if (verb->verb == COMMAND_DUMP && n > 1)
		zones = 1;
	if (take_zones(command, verb, arguments, zones) != COMMAND_RUN)
		return COMMAND_USAGE;
	return take_name_and_type(command, verb, arguments + zones, n - zones);
}

/* Where a monitoring plugin's exit status is expected, 2 would say that something is wrong with the zone. */
static int usage_status(const struct words *words, char *const argv[])
{
	const char *name = words->count ? words->items[0] : NULL;
	const struct verb *verb;

	for (; !name && *argv; argv++)   /* a wrong option may stand before it */
		name = **argv != '-' ? *argv : NULL;
	verb = name ? find_verb(name) : NULL;

	return verb && verb->options & ASKING ? 3 : 2;
}

enum command_outcome command_parse(struct command *command, int argc, char *const argv[])
{
	struct words words = {.items = calloc((size_t)argc + 1, sizeof *words.items)};
	enum command_outcome outcome;

	*command = (struct command){.asking = {.ns = calloc((size_t)argc + 1, sizeof *command->asking.ns), .rate = -1}, .usage_status = 2};
	if (!words.items || !command->asking.ns) {
		free(words.items);
		return usage(NULL, "out of memory");
	}
	outcome = collect(command, &words, argc, argv);
	if (outcome == COMMAND_RUN && (words.version || (words.help && !words.count))) {
		if (words.version)
			printf("lockstep %s\n", PACKAGE_VERSION);
		else
			print_help();
		outcome = COMMAND_SHOWN;
	}
	if (outcome == COMMAND_RUN)
		outcome = take_verb(command, &words);
	command->usage_status = usage_status(&words, argc ? argv + 1 : argv);
	free(words.items);
	return outcome;
}

void command_release(struct command *command)
{
	for (size_t i = 0; i < command->zone_count; i++)
		free(command->zones[i]);
	free(command->zones);
	free(command->name);
	free(command->type);
	free(command->asking.ns);
	*command = (struct command){0};
}
