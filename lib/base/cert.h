/* base/cert: X.509 certificates and private keys, on OpenSSL: read from PEM files, and what a certificate shows of itself: its names,
 * its pin, its time, said in a line. Read by base/tls. Any thread.
 */
#ifndef BASE_CERT_H
#define BASE_CERT_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct x509_st;
struct evp_pkey_st;
struct stack_st_X509;

enum {
	CERT_PIN_SIZE = 32,          /* SHA-256 of the SubjectPublicKeyInfo (RFC 7858 4.2, RFC 7469 2.4) */
	CERT_PIN_TEXT = 48,          /* its base64 */
	CERT_TEXT = 288,
};

/* All certificates of a PEM file, in its order, appended; at least one. ERR_IO, ERR_NOTFOUND, ERR_CONF with `why` "PATH: what". */
enum err cert_read_all(const char *path, struct stack_st_X509 *certs, struct why *);
/* The same errors; a key with a passphrase is one: there is nobody to ask. */
enum err cert_read_key(const char *path, struct evp_pkey_st **key, struct why *);

/* 43 digits of base64 and "=". False: that is not what it is. */
bool cert_pin_parse(const char *text, uint8_t pin[CERT_PIN_SIZE]);
const char *cert_pin_text(const uint8_t pin[CERT_PIN_SIZE], char out[CERT_PIN_TEXT]);   /* returns `out` */
/* False: out of memory. */
bool cert_pin(struct x509_st *, uint8_t pin[CERT_PIN_SIZE]);

/* The names that it is for, in lower case: of its DNS subjectAltNames or, if it has none, the subject's common name. Each ends with a
 * NUL, the list with one more. Names that are more than letters, digits, '-', '_', '.', '*' are left out. malloc'd; NULL: out
 * of memory. */
char *cert_names(struct x509_st *);
/* "\"ns.example\" (issuer CN=Some, until 2026-12-01, pin BASE64)": printable, whatever it holds. Returns `out`. */
const char *cert_text(struct x509_st *, char out[CERT_TEXT]);
/* False and `why` "WHOSE: the certificate has expired", or "is not valid yet". */
bool cert_valid(struct x509_st *, const char *whose, uint64_t unix_now, struct why *);

/* The text of the first error that OpenSSL has noted in this thread: that is where it began. NULL: none is noted. */
const char *cert_openssl_text(void);

#endif
