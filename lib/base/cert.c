#include "base/cert.h"

#include "base/file.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	FILE_MAX = 1 << 20,          /* of a PEM file */
	NAMES_SHOWN = 3,             /* in a text */
	NAME_SHOWN = 64,             /* octets of each of them, */
	ISSUER_SHOWN = 60,           /* of the issuer */
	NAMES_MAX = 16 << 10,        /* octets of all names; what is behind them counts for nothing */
};

const char *cert_openssl_text(void)
{
	unsigned long code = ERR_peek_error();
	const char *text = ERR_reason_error_string(code);

	if (text || !code)
		return text;
	return "an error of OpenSSL without a text";
}

static const char *text_or_none(void)
{
	const char *text = cert_openssl_text();

	return text ? text : "no reason is known";
}

/* --- files ------------------------------------------------------------------------------------------------------- */

static int no_passphrase(char *out, int size, int writing, void *arg)
{
	(void)out, (void)size, (void)writing, (void)arg;
	return -1;
}

static enum err read_pem(const char *path, struct file_bytes *file, BIO **bio, struct why *why)
{
	enum err err = file_read(path, FILE_MAX, file, why);

	if (err)
		return err;
	*bio = BIO_new_mem_buf(file->bytes, (int)file->length);
	return *bio ? ERR_OK : err_why(why, ERR_NOMEM, "out of memory");
}

static void release_pem(struct file_bytes *file, BIO *bio)
{
	BIO_free(bio);
	if (file->bytes)
		explicit_bzero(file->bytes, file->length);
	file_bytes_release(file);
}

enum err cert_read_all(const char *path, STACK_OF(X509) *certs, struct why *why)
{
	struct file_bytes file = {0};
	BIO *bio = NULL;
	enum err err = read_pem(path, &file, &bio, why);
	int before = sk_X509_num(certs);
	X509 *cert;

	ERR_clear_error();
	while (!err && (cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)))
		if (!sk_X509_push(certs, cert)) {
			X509_free(cert);
			err = err_why(why, ERR_NOMEM, "out of memory");
		}
	if (!err && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		err = err_why(why, ERR_CONF, "%s: certificate %d is damaged: %s", path, sk_X509_num(certs) - before + 1, text_or_none());
	if (!err && sk_X509_num(certs) == before)
		err = err_why(why, ERR_CONF, "%s: there is no certificate in it (PEM)", path);
	ERR_clear_error();
	release_pem(&file, bio);
	return err;
}

enum err cert_read_key(const char *path, EVP_PKEY **key, struct why *why)
{
	struct file_bytes file = {0};
	BIO *bio = NULL;
	enum err err = read_pem(path, &file, &bio, why);

	ERR_clear_error();
	if (!err && !(*key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL))) {
		bool locked = strstr(file.bytes, "ENCRYPTED") != NULL;

		err = err_why(why, ERR_CONF, locked ? "%s: the key has a passphrase" : "%s: there is no private key in it (PEM)", path);
	}
	ERR_clear_error();
	release_pem(&file, bio);
	return err;
}

/* --- pins -------------------------------------------------------------------------------------------------------- */

bool cert_pin_parse(const char *text, uint8_t pin[CERT_PIN_SIZE])
{
	uint8_t octets[CERT_PIN_SIZE + 1];
	char again[CERT_PIN_TEXT];

	if (strlen(text) != 44 || EVP_DecodeBlock(octets, (const uint8_t *)text, 44) != CERT_PIN_SIZE + 1)
		return false;
	memcpy(pin, octets, CERT_PIN_SIZE);
	return strcmp(cert_pin_text(pin, again), text) == 0;   /* the one way to write it */
}

const char *cert_pin_text(const uint8_t pin[CERT_PIN_SIZE], char out[CERT_PIN_TEXT])
{
	EVP_EncodeBlock((uint8_t *)out, pin, CERT_PIN_SIZE);
	return out;
}

bool cert_pin(X509 *cert, uint8_t pin[CERT_PIN_SIZE])
{
	uint8_t *der = NULL;
	int length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
	bool good = length > 0 && EVP_Digest(der, (size_t)length, pin, NULL, EVP_sha256(), NULL) == 1;

	OPENSSL_free(der);
	return good;
}

/* --- names ------------------------------------------------------------------------------------------------------- */

static bool is_name(const unsigned char *text, int length)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.*";

	for (int i = 0; i < length; i++)
		if (text[i] == 0 || !strchr(allowed, text[i]))
			return false;
	return length > 0;
}

static void add_name(char *names, size_t *used, const unsigned char *text, int length)
{
	if (!is_name(text, length) || *used + (size_t)length + 2 > NAMES_MAX)
		return;
	for (int i = 0; i < length; i++)
		names[(*used)++] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 32 : text[i]);
	names[(*used)++] = 0;
}

/* Whether it has any, of whatever form. */
static bool add_alternative_names(X509 *cert, char *names, size_t *used)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	bool any = false;

	for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
		const GENERAL_NAME *one = sk_GENERAL_NAME_value(all, i);

		if (one->type != GEN_DNS)
			continue;
		any = true;
		add_name(names, used, ASN1_STRING_get0_data(one->d.dNSName), ASN1_STRING_length(one->d.dNSName));
	}
	GENERAL_NAMES_free(all);
	return any;
}

static void add_common_name(X509 *cert, char *names, size_t *used)
{
	const X509_NAME *subject = X509_get_subject_name(cert);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	unsigned char *text = NULL;
	int length = at < 0 ? -1 : ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));

	if (length > 0)
		add_name(names, used, text, length);
	OPENSSL_free(text);
}

char *cert_names(X509 *cert)
{
	char *names = malloc(NAMES_MAX), *fitting;
	size_t used = 0;

	if (!names)
		return NULL;
	if (!add_alternative_names(cert, names, &used))
		add_common_name(cert, names, &used);
	names[used++] = 0;
	fitting = realloc(names, used);
	ERR_clear_error();
	return fitting ? fitting : names;
}

/* --- texts ------------------------------------------------------------------------------------------------------- */

/* "\"a\", \"b\", ...". Returns the octets written. */
static size_t put_names(X509 *cert, char *out, size_t size)
{
	char *names = cert_names(cert), *at = names;
	size_t used = 0;

	if (!names || !*names)
		used = (size_t)snprintf(out, size, "no name");
	for (unsigned n = 0; at && *at && n <= NAMES_SHOWN && used < size; n++, at += strlen(at) + 1) {
		const char *comma = n ? ", " : "";

		used += (size_t)(n < NAMES_SHOWN ? snprintf(out + used, size - used, "%s\"%.*s\"", comma, NAME_SHOWN / (n ? 2 : 1), at) :
			snprintf(out + used, size - used, "%s...", comma));
	}
	free(names);
	return used < size ? used : size - 1;
}

/* RFC 2253, cut. */
static void put_issuer(X509 *cert, char out[ISSUER_SHOWN])
{
	BIO *bio = BIO_new(BIO_s_mem());
	int length = 0;

	if (bio && X509_NAME_print_ex(bio, X509_get_issuer_name(cert), 0, XN_FLAG_RFC2253) >= 0)
		length = BIO_read(bio, out, ISSUER_SHOWN - 1);
	out[length > 0 ? length : 0] = 0;
	BIO_free(bio);
}

const char *cert_text(X509 *cert, char out[CERT_TEXT])
{
	char issuer[ISSUER_SHOWN], pin_text[CERT_PIN_TEXT] = "?";
	uint8_t pin[CERT_PIN_SIZE];
	size_t used = put_names(cert, out, CERT_TEXT);
	struct tm until = {0};

	put_issuer(cert, issuer);
	ASN1_TIME_to_tm(X509_get0_notAfter(cert), &until);
	if (cert_pin(cert, pin))
		cert_pin_text(pin, pin_text);
	snprintf(out + used, CERT_TEXT - used, " (issuer %s, until %04d-%02d-%02d, pin %s)", *issuer ? issuer : "without a name",
		until.tm_year + 1900, until.tm_mon + 1, until.tm_mday, pin_text);
	for (char *c = out; *c; c++)
		if ((unsigned char)*c < ' ' || (unsigned char)*c > '~')
			*c = '?';
	ERR_clear_error();
	return out;
}

bool cert_valid(X509 *cert, const char *whose, uint64_t unix_now, struct why *why)
{
	time_t now = (time_t)unix_now;

	if (X509_cmp_time(X509_get0_notAfter(cert), &now) < 0)
		return err_why(why, ERR_CONF, "%s: the certificate has expired", whose), false;
	if (X509_cmp_time(X509_get0_notBefore(cert), &now) > 0)
		return err_why(why, ERR_CONF, "%s: the certificate is not valid yet", whose), false;
	return true;
}
