/* lockstepd: the daemon. */
#include "config.h"

#include "base/log.h"
#include "run/conf.h"
#include "run/daemon.h"

#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>

static const char usage[] = "usage: lockstepd [-c FILE] [-t] [-v]...\n";

static const struct option options[] = {
	{"conf", required_argument, NULL, 'c'},
	{"test", no_argument, NULL, 't'},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{0},
};

static int help(void)
{
	printf("%s\nA secondary DNS server. Runs in the foreground; SIGTERM stops it, SIGHUP reloads the configuration.\n\n"
		"  -c, --conf FILE   the configuration file (%s)\n"
		"  -t, --test        check the configuration and exit: 0 if it is right, 1 if not\n"
		"  -v, --verbose     log more than server.log.level says; once more for each -v\n"
		"  -h, --help        print this and exit\n"
		"      --version     print the version and exit\n\n"
		"Manual: lockstepd(8), lockstep.conf(5).\n", usage, conf_default_path());
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Says what is wrong, and what is unwise. */
static int test(const char *path)
{
	struct why why = {{0}}, warning;
	struct conf *conf = conf_read(path, &why);
	enum err err = conf ? daemon_check(conf, &warning, &why) : ERR_CONF;

	if (err) {
		fprintf(stderr, "lockstepd: %s\n", err_say(&why, err));
		conf_free(conf);
		return EXIT_FAILURE;
	}
	for (size_t i = 0; i < conf->warning_count; i++)
		fprintf(stderr, "lockstepd: %s\n", conf->warnings[i]);
	if (warning.text[0])
		fprintf(stderr, "lockstepd: %s\n", warning.text);
	if (conf->server.user && !getpwnam(conf->server.user))
		fprintf(stderr, "lockstepd: server.user: there is no user \"%s\" on this machine\n", conf->server.user);
	conf_free(conf);
	return EXIT_SUCCESS;
}

int main(int argc, char *argv[])
{
	const char *path = conf_default_path();
	bool only_test = false;
	int verbosity = 0, c;

	while ((c = getopt_long(argc, argv, "c:tvh", options, NULL)) != -1) {
		switch (c) {
		case 'c': path = optarg; break;
		case 't': only_test = true; break;
		case 'v': verbosity++; break;
		case 'h': return help();
		case 'V': return printf("lockstepd %s\n", PACKAGE_VERSION) > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
		default: fprintf(stderr, "%s", usage); return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "lockstepd: it takes no arguments: \"%s\"\n%s", argv[optind], usage);
		return 2;
	}
	return only_test ? test(path) : daemon_run(path, verbosity);
}
