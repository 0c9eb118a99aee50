/* For the tests of base/tls: a directory for keys and certificates, which `openssl` makes there. */
#ifndef T_TLS_DIR_H
#define T_TLS_DIR_H

#include <stdio.h>
#include <stdlib.h>

static char dir[] = "/tmp/lockstep-tls-XXXXXX";

/* The path of a file there; good for the next 15 calls. */
static inline const char *in_dir(const char *name)
{
	static char path[16][64];
	static unsigned turn;
	char *out = path[turn++ % 16];

	snprintf(out, sizeof path[0], "%s/%s", dir, name);
	return out;
}

/* In the directory. */
static inline void shell(const char *command)
{
	char line[2000];

	snprintf(line, sizeof line, "cd %s && exec >/dev/null 2>&1 && %s", dir, command);
	assert_int_equal(system(line), 0);
}

/* 0: it is gone. */
static inline int remove_dir(void)
{
	char line[100];

	snprintf(line, sizeof line, "rm -r %s", dir);
	return system(line);
}

#endif
