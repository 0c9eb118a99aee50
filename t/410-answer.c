/* serve/answer and serve/query: what a question gets, one behaviour a case. The response is compared as text: rcode, flags and
 * EDNS on the first line, then the records. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "serve-zone.h"

#include "base/log.h"

static const char zone_text[] =
	"@ 3600 IN SOA ns1 host 7 3600 900 604800 300\n"
	"@ IN NS ns1\n"
	"@ IN NS ns.sub\n"
	"@ IN NS ns.other.test.\n"
	"@ IN MX 10 mail\n"
	"@ IN MX 20 mail\n"
	"@ IN MX 30 outside.test.\n"
	"ns1 IN A 192.0.2.1\n"
	"ns1 IN AAAA 2001:db8::1\n"
	"mail IN A 192.0.2.2\n"
	"www IN A 192.0.2.3\n"
	"www IN A 192.0.2.4\n"
	"www IN TXT \"text\"\n"
	"ptr IN PTR www\n"
	"unknown IN TYPE65280 \\# 3 abcdef\n"
	/* aliases */
	"alias IN CNAME www\n"
	"alias2 IN CNAME alias\n"
	"loop1 IN CNAME loop2\n"
	"loop2 IN CNAME loop1\n"
	"self IN CNAME self\n"
	"dangling IN CNAME nothere\n"
	"toent IN CNAME ent\n"
	"out IN CNAME www.other.test.\n"
	"tosub IN CNAME host.sub\n"
	"towild IN CNAME a.wild\n"
	"tokid IN CNAME www.kid\n"
	"tocut IN CNAME sub\n"
	/* empty non-terminals and wildcards */
	"a.ent IN A 192.0.2.5\n"
	"*.wild IN A 192.0.2.6\n"
	"*.wild IN MX 10 mail\n"
	"b.wild IN A 192.0.2.7\n"
	"*.wildalias IN CNAME www\n"
	"*.wildloop IN CNAME x.wildloop\n"
	"x.*.deep IN A 192.0.2.8\n"
	/* cuts */
	"sub IN NS ns.sub\n"
	"sub IN NS ns.sib\n"
	"sub IN NS ns1\n"
	"sub IN NS ns.elsewhere.test.\n"
	"sub IN DS 1 8 2 AABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDD\n"
	"ns.sub IN A 192.0.2.9\n"
	"ns.sub IN AAAA 2001:db8::9\n"
	"sib IN NS ns.sib\n"
	"ns.sib IN A 192.0.2.10\n"
	"unsigned IN NS ns.unsigned\n"
	"ns.unsigned IN A 192.0.2.11\n"
	"wildns IN NS a.wild\n"
	"kid IN NS ns1.kid\n"
	"kid IN DS 2 8 2 AABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDD\n"
	"ns1.kid IN A 192.0.2.12\n"
	"new IN NS ns1\n"
	"old IN NS ns1\n"
	/* DNAME */
	"d IN DNAME target\n"
	"d IN TXT \"beside\"\n"
	"x.target IN A 192.0.2.13\n"
	"again.target IN DNAME d\n"
	"dout IN DNAME elsewhere.test.\n"
	"dself IN DNAME @\n"
	"dlong IN DNAME 3456789-123456789-123456789-123456789-123456789-123456789.3456789-123456789-123456789-123456789-123456789-123456789"
	".3456789-123456789-123456789-123456789-123456789-123456789\n"
	/* hosts that records name */
	"_s._tcp IN SRV 1 1 5 www\n"
	"_s._tcp IN SRV 1 1 5 nothere\n"
	"svc IN HTTPS 1 www alpn=h2\n"
	"svcself IN SVCB 1 .\n"
	"svcself IN A 192.0.2.14\n"
	"wildmx IN MX 10 a.wild\n"
	"aliasmx IN MX 10 alias\n"
	/* DNSSEC records as data */
	"signed IN A 192.0.2.15\n"
	"signed IN RRSIG A 8 2 3600 20300101000000 20200101000000 1 example. AAAA\n"
	"signed IN RRSIG NSEC 8 2 3600 20300101000000 20200101000000 1 example. AAAAAAAA\n"
	"signed IN NSEC sib.example. A RRSIG NSEC\n";

static const char kid_text[] =
	"@ 3600 IN SOA ns1 host 8 3600 900 604800 7200\n"
	"@ IN NS ns1\n"
	"ns1 IN A 192.0.2.20\n"
	"www IN A 192.0.2.21\n"
	"up IN CNAME www.example.\n";

#define SOA "example. 300 SOA ns1.example. host.example. 7 3600 900 604800 300\n"
#define SOA_WHOLE "example. 3600 SOA ns1.example. host.example. 7 3600 900 604800 300\n"
#define SUB_NS \
	"authority sub.example. 3600 NS ns.sib.example.\n" \
	"authority sub.example. 3600 NS ns.sub.example.\n" \
	"authority sub.example. 3600 NS ns.elsewhere.test.\n" \
	"authority sub.example. 3600 NS ns1.example.\n"
#define SUB_GLUE \
	"additional ns.sub.example. 3600 A 192.0.2.9\n" \
	"additional ns.sub.example. 3600 AAAA 2001:db8::9\n" \
	"additional ns.sib.example. 3600 A 192.0.2.10\n" \
	"additional ns1.example. 3600 A 192.0.2.1\n" \
	"additional ns1.example. 3600 AAAA 2001:db8::1\n"

static const struct example {
	const char *behaviour, *question, *response;
} examples[] = {
	{"a name with records", "www.example. A noedns",
		"NOERROR aa\nanswer www.example. 3600 A 192.0.2.3\nanswer www.example. 3600 A 192.0.2.4\n"},
	{"only the type that is asked", "www.example. TXT noedns", "NOERROR aa\nanswer www.example. 3600 TXT \"text\"\n"},
	{"no data: the SOA with the TTL of the denial", "www.example. AAAA noedns", "NOERROR aa\nauthority " SOA},
	{"no such name", "nothere.example. A noedns", "NXDOMAIN aa\nauthority " SOA},
	{"no such name below one that exists", "a.b.www.example. A noedns", "NXDOMAIN aa\nauthority " SOA},
	{"an empty non-terminal exists", "ent.example. A noedns", "NOERROR aa\nauthority " SOA},
	{"the apex", "example. SOA noedns", "NOERROR aa\nanswer " SOA_WHOLE},
	{"an unknown type", "unknown.example. TYPE65280 noedns", "NOERROR aa\nanswer unknown.example. 3600 TYPE65280 \\# 3 abcdef\n"},
	{"a type that is no data has none", "www.example. TYPE250 noedns", "NOERROR aa\nauthority " SOA},
	{"the case of the question is kept", "WwW.eXample. TXT noedns", "NOERROR aa\nanswer WwW.eXample. 3600 TXT \"text\"\n"},
	{"recursion is not offered, RD is repeated, CD is not", "www.example. TXT noedns rd cd",
		"NOERROR aa rd\nanswer www.example. 3600 TXT \"text\"\n"},

	/* EDNS */
	{"EDNS is answered with EDNS", "www.example. TXT edns=4096", "NOERROR aa edns=1232\nanswer www.example. 3600 TXT \"text\"\n"},
	{"DO is repeated", "www.example. TXT do", "NOERROR aa edns=1232 do\nanswer www.example. 3600 TXT \"text\"\n"},

	/* other zones and classes */
	{"a zone that is not ours", "www.nowhere. A noedns", "REFUSED\n"},
	{"with EDNS it says why", "www.nowhere. A", "REFUSED edns=1232 ede=20\n"},
	{"the root, where it is not ours", ". NS", "REFUSED edns=1232 ede=20\n"},
	{"another class", "www.example. A HS", "REFUSED edns=1232 ede=20\n"},
	{"class ANY, without authority", "www.example. TXT ANY noedns", "NOERROR\nanswer www.example. 3600 TXT \"text\"\n"},
	{"a zone that was never loaded", "www.new.example. A", "SERVFAIL edns=1232 ede=14\n"},
	{"an expired zone", "www.old.example. A", "SERVFAIL edns=1232 ede=24\n"},

	/* wildcards */
	{"a wildcard answers for a name that does not exist", "x.wild.example. A noedns", "NOERROR aa\nanswer x.wild.example. 3600 A 192.0.2.6\n"},
	{"and for one with more labels", "x.y.wild.example. A noedns", "NOERROR aa\nanswer x.y.wild.example. 3600 A 192.0.2.6\n"},
	{"not for a name that exists", "b.wild.example. MX noedns", "NOERROR aa\nauthority " SOA},
	{"nor for names below that", "x.b.wild.example. A noedns", "NXDOMAIN aa\nauthority " SOA},
	{"nor for the name above it", "wild.example. A noedns", "NOERROR aa\nauthority " SOA},
	{"a type that the wildcard does not have", "x.wild.example. TXT noedns", "NOERROR aa\nauthority " SOA},
	{"the wildcard itself can be asked for", "*.wild.example. A noedns", "NOERROR aa\nanswer *.wild.example. 3600 A 192.0.2.6\n"},
	{"a wildcard alias", "foo.wildalias.example. TXT noedns",
		"NOERROR aa\nanswer foo.wildalias.example. 3600 CNAME www.example.\nanswer www.example. 3600 TXT \"text\"\n"},
	{"a wildcard alias of itself is followed once", "a.wildloop.example. A noedns",
		"NOERROR aa\nanswer a.wildloop.example. 3600 CNAME x.wildloop.example.\n"
		"answer x.wildloop.example. 3600 CNAME x.wildloop.example.\n"},
	{"a wildcard without records of its own denies nothing but data", "a.deep.example. A noedns", "NOERROR aa\nauthority " SOA},

	/* aliases */
	{"an alias is followed", "alias.example. TXT noedns",
		"NOERROR aa\nanswer alias.example. 3600 CNAME www.example.\nanswer www.example. 3600 TXT \"text\"\n"},
	{"a chain too", "alias2.example. TXT noedns",
		"NOERROR aa\nanswer alias2.example. 3600 CNAME alias.example.\nanswer alias.example. 3600 CNAME www.example.\n"
		"answer www.example. 3600 TXT \"text\"\n"},
	{"the alias itself is not", "alias2.example. CNAME noedns", "NOERROR aa\nanswer alias2.example. 3600 CNAME alias.example.\n"},
	{"a loop ends", "loop1.example. A noedns",
		"NOERROR aa\nanswer loop1.example. 3600 CNAME loop2.example.\nanswer loop2.example. 3600 CNAME loop1.example.\n"},
	{"an alias of itself", "self.example. A noedns", "NOERROR aa\nanswer self.example. 3600 CNAME self.example.\n"},
	{"the end of the chain decides: no such name", "dangling.example. A noedns",
		"NXDOMAIN aa\nanswer dangling.example. 3600 CNAME nothere.example.\nauthority " SOA},
	{"the end of the chain decides: no data", "toent.example. A noedns",
		"NOERROR aa\nanswer toent.example. 3600 CNAME ent.example.\nauthority " SOA},
	{"a chain that leaves the zone", "out.example. A noedns", "NOERROR aa\nanswer out.example. 3600 CNAME www.other.test.\n"},
	{"a chain to a wildcard", "towild.example. A noedns",
		"NOERROR aa\nanswer towild.example. 3600 CNAME a.wild.example.\nanswer a.wild.example. 3600 A 192.0.2.6\n"},
	{"a chain into a delegation", "tosub.example. A noedns",
		"NOERROR aa\nanswer tosub.example. 3600 CNAME host.sub.example.\n" SUB_NS SUB_GLUE},
	{"a chain to a cut, for DS", "tocut.example. DS noedns",
		"NOERROR aa\nanswer tocut.example. 3600 CNAME sub.example.\n"
		"answer sub.example. 3600 DS 1 8 2 aabbccddaabbccddaabbccddaabbccddaabbccddaabbccddaabbccddaabbccdd\n"},
	{"a chain ends at the zone's border, also where the child is ours", "tokid.example. A noedns",
		"NOERROR aa\nanswer tokid.example. 3600 CNAME www.kid.example.\n"
		"authority kid.example. 3600 NS ns1.kid.example.\nadditional ns1.kid.example. 3600 A 192.0.2.12\n"},
	{"and where the parent is", "up.kid.example. A noedns", "NOERROR aa\nanswer up.kid.example. 3600 CNAME www.example.\n"},

	/* DNAME */
	{"a name below a DNAME", "x.d.example. A noedns",
		"NOERROR aa\nanswer d.example. 3600 DNAME target.example.\nanswer x.d.example. 3600 CNAME x.target.example.\n"
		"answer x.target.example. 3600 A 192.0.2.13\n"},
	{"the CNAME that it makes", "x.d.example. CNAME noedns",
		"NOERROR aa\nanswer d.example. 3600 DNAME target.example.\nanswer x.d.example. 3600 CNAME x.target.example.\n"},
	{"its target may not exist", "y.d.example. A noedns",
		"NXDOMAIN aa\nanswer d.example. 3600 DNAME target.example.\nanswer y.d.example. 3600 CNAME y.target.example.\nauthority " SOA},
	{"the DNAME's own name is not redirected", "d.example. TXT noedns", "NOERROR aa\nanswer d.example. 3600 TXT \"beside\"\n"},
	{"the DNAME can be asked for", "d.example. DNAME noedns", "NOERROR aa\nanswer d.example. 3600 DNAME target.example.\n"},
	{"a DNAME out of the zone", "x.dout.example. A noedns",
		"NOERROR aa\nanswer dout.example. 3600 DNAME elsewhere.test.\nanswer x.dout.example. 3600 CNAME x.elsewhere.test.\n"},
	{"a DNAME that leads to itself is given once", "dself.dself.example. DNAME noedns",
		"NOERROR aa\nanswer dself.example. 3600 DNAME example.\nanswer dself.dself.example. 3600 CNAME dself.example.\n"},
	{"a chain through the same DNAME twice gives it once", "x.again.d.example. A noedns",
		"NOERROR aa\nanswer d.example. 3600 DNAME target.example.\nanswer x.again.d.example. 3600 CNAME x.again.target.example.\n"
		"answer again.target.example. 3600 DNAME d.example.\nanswer x.again.target.example. 3600 CNAME x.d.example.\n"
		"answer x.d.example. 3600 CNAME x.target.example.\nanswer x.target.example. 3600 A 192.0.2.13\n"},
	{"a target that would be too long", "a.b.c.d.e.f.3456789-123456789-123456789-123456789-123456789-123456789-123.dlong.example. A noedns",
		"YXDOMAIN aa\nanswer dlong.example. 3600 DNAME 3456789-123456789-123456789-123456789-123456789-123456789."
		"3456789-123456789-123456789-123456789-123456789-123456789.3456789-123456789-123456789-123456789-123456789-123456789.example.\n"},

	/* referrals */
	{"a referral, with the glue of the delegated zone first", "a.sub.example. A noedns", "NOERROR\n" SUB_NS SUB_GLUE},
	{"the cut itself", "sub.example. NS noedns", "NOERROR\n" SUB_NS SUB_GLUE},
	{"glue is not an answer", "ns.sub.example. A noedns", "NOERROR\n" SUB_NS SUB_GLUE},
	{"DS is the parent's", "sub.example. DS noedns",
		"NOERROR aa\nanswer sub.example. 3600 DS 1 8 2 aabbccddaabbccddaabbccddaabbccddaabbccddaabbccddaabbccddaabbccdd\n"},
	{"and so is its absence", "unsigned.example. DS noedns", "NOERROR aa\nauthority " SOA},
	{"DS below the cut is not", "a.unsigned.example. DS noedns",
		"NOERROR\nauthority unsigned.example. 3600 NS ns.unsigned.example.\nadditional ns.unsigned.example. 3600 A 192.0.2.11\n"},
	{"a nameserver whose address a wildcard gives", "wildns.example. A noedns",
		"NOERROR\nauthority wildns.example. 3600 NS a.wild.example.\nadditional a.wild.example. 3600 A 192.0.2.6\n"},

	/* a child zone beside its parent */
	{"the longest match answers", "www.kid.example. A noedns", "NOERROR aa\nanswer www.kid.example. 3600 A 192.0.2.21\n"},
	{"denials are the child's, its SOA's TTL below its minimum", "x.kid.example. A noedns",
		"NXDOMAIN aa\nauthority kid.example. 3600 SOA ns1.kid.example. host.kid.example. 8 3600 900 604800 7200\n"},
	{"its NS set is its own", "kid.example. NS noedns",
		"NOERROR aa\nanswer kid.example. 3600 NS ns1.kid.example.\nadditional ns1.kid.example. 3600 A 192.0.2.20\n"},
	{"its DS is the parent's", "kid.example. DS noedns",
		"NOERROR aa\nanswer kid.example. 3600 DS 2 8 2 aabbccddaabbccddaabbccddaabbccddaabbccddaabbccddaabbccddaabbccdd\n"},
	{"DS at an apex whose parent is not ours", "example. DS noedns", "NOERROR aa\nauthority " SOA},

	/* addresses of hosts */
	{"an address is given once", "example. MX noedns",
		"NOERROR aa\nanswer example. 3600 MX 10 mail.example.\nanswer example. 3600 MX 20 mail.example.\n"
		"answer example. 3600 MX 30 outside.test.\nadditional mail.example. 3600 A 192.0.2.2\n"},
	{"with NS, also from below a cut", "example. NS noedns",
		"NOERROR aa\nanswer example. 3600 NS ns.sub.example.\nanswer example. 3600 NS ns.other.test.\nanswer example. 3600 NS ns1.example.\n"
		"additional ns.sub.example. 3600 A 192.0.2.9\nadditional ns.sub.example. 3600 AAAA 2001:db8::9\n"
		"additional ns1.example. 3600 A 192.0.2.1\nadditional ns1.example. 3600 AAAA 2001:db8::1\n"},
	{"with SRV", "_s._tcp.example. SRV noedns",
		"NOERROR aa\nanswer _s._tcp.example. 3600 SRV 1 1 5 www.example.\nanswer _s._tcp.example. 3600 SRV 1 1 5 nothere.example.\n"
		"additional www.example. 3600 A 192.0.2.3\nadditional www.example. 3600 A 192.0.2.4\n"},
	{"with HTTPS", "svc.example. HTTPS noedns",
		"NOERROR aa\nanswer svc.example. 3600 HTTPS 1 www.example. alpn=h2\n"
		"additional www.example. 3600 A 192.0.2.3\nadditional www.example. 3600 A 192.0.2.4\n"},
	{"with SVCB whose target is its owner", "svcself.example. SVCB noedns",
		"NOERROR aa\nanswer svcself.example. 3600 SVCB 1 .\nadditional svcself.example. 3600 A 192.0.2.14\n"},
	{"from a wildcard", "wildmx.example. MX noedns",
		"NOERROR aa\nanswer wildmx.example. 3600 MX 10 a.wild.example.\nadditional a.wild.example. 3600 A 192.0.2.6\n"},
	{"not through an alias", "aliasmx.example. MX noedns", "NOERROR aa\nanswer aliasmx.example. 3600 MX 10 alias.example.\n"},
	{"none with PTR", "ptr.example. PTR noedns", "NOERROR aa\nanswer ptr.example. 3600 PTR www.example.\n"},

	/* ANY and DNSSEC types */
	{"ANY gets one RRset, the smallest", "www.example. ANY noedns", "NOERROR aa\nanswer www.example. 3600 TXT \"text\"\n"},
	{"over TCP too", "www.example. ANY noedns tcp", "NOERROR aa\nanswer www.example. 3600 TXT \"text\"\n"},
	{"ANY at an alias is not followed", "alias.example. ANY noedns", "NOERROR aa\nanswer alias.example. 3600 CNAME www.example.\n"},
	{"ANY at a name that does not exist", "nothere.example. ANY noedns", "NXDOMAIN aa\nauthority " SOA},
	{"ANY prefers data to NSEC", "signed.example. ANY noedns", "NOERROR aa\nanswer signed.example. 3600 A 192.0.2.15\n"},
	{"RRSIG gets the signatures of one RRset", "signed.example. RRSIG noedns",
		"NOERROR aa\nanswer signed.example. 3600 RRSIG A 8 2 3600 20300101000000 20200101000000 1 example. AAAA\n"},
	{"NSEC is a record as others are", "signed.example. NSEC noedns",
		"NOERROR aa\nanswer signed.example. 3600 NSEC sib.example. A RRSIG NSEC\n"},
	{"RRSIG where nothing is signed", "www.example. RRSIG noedns", "NOERROR aa\nauthority " SOA},

	/* the server itself */
	{"id.server", "id.server. TXT CH", "NOERROR edns=1232\nanswer id.server. 0 CH TXT \"ns1.test\"\n"},
	{"hostname.bind, by ANY", "hostname.bind. ANY CH", "NOERROR edns=1232\nanswer hostname.bind. 0 CH TXT \"ns1.test\"\n"},
	{"version.server", "Version.Server. TXT CH", "NOERROR edns=1232\nanswer Version.Server. 0 CH TXT \"lockstep test\"\n"},
	{"version.bind", "version.bind. TXT CH", "NOERROR edns=1232\nanswer version.bind. 0 CH TXT \"lockstep test\"\n"},
	{"another type", "version.bind. A CH", "REFUSED edns=1232 ede=20\n"},
	{"another name of that class", "www.example. TXT CH", "REFUSED edns=1232 ede=20\n"},

	/* transfers and UDP; allow-transfer is empty */
	{"AXFR over UDP", "example. AXFR", "NOTIMP edns=1232\n"},
	{"AXFR that is not allowed", "example. AXFR tcp", "REFUSED edns=1232 ede=18\n"},
	{"AXFR of a name that is no apex", "www.example. AXFR tcp", "NOTAUTH edns=1232 ede=20\n"},
	{"AXFR in another class", "example. AXFR tcp ANY", "REFUSED edns=1232 ede=20\n"},
};

/* --- the table ------------------------------------------------------------------------ */

static struct store *store;
static struct store_zone *example_place, *old_place;
static struct serve_counters counters;
static struct answer answerer;
static struct serve_settings settings = {.identity = "ns1.test", .version = "lockstep test", .udp_payload = 1232};
static struct net_addr client;

static int setup(void **state)
{
	(void)state;
	rr_init();
	log_setup(LOG_TO_STDERR, LOG_LEVEL_WARNING);
	store_thread_begin();
	store = store_new();
	example_place = add_zone(store, "example.", zone_text, NULL);
	add_zone(store, "kid.example.", kid_text, NULL);
	add_zone(store, "new.example.", NULL, NULL);
	old_place = add_zone(store, "old.example.", NULL, NULL);
	store_commit(old_place, NULL, STORE_EXPIRED);
	answer_init(&answerer, store, &counters);
	return net_addr_parse(&client, "192.0.2.200@4000", 0, NULL);
}

static int teardown(void **state)
{
	(void)state;
	answer_release(&answerer);
	store_settle();
	store_free(store);
	store_thread_end();
	return 0;
}

static uint8_t response[MSG_MAX];
static size_t response_length;

static enum answer_action ask_bytes(const uint8_t *bytes, size_t length, bool tcp)
{
	struct answer_request in = {.bytes = bytes, .length = length, .from = client, .tcp = tcp, .now = 1700000000};
	struct answer_transfer transfer;
	enum answer_action action;

	store_enter();
	response_length = 0;
	action = answer(&answerer, &settings, &in, response, &response_length, &transfer);
	if (action == ANSWER_TRANSFER) {
		zone_put(transfer.zone);
		tsig_release(&transfer.tsig);
	}
	store_leave();
	return action;
}

static const char *ask(const char *question)
{
	struct test_request request = request_of(question);

	assert_int_equal(ask_bytes(request.bytes, request.length, request.tcp), ANSWER_SEND);
	assert_memory_equal(response, request.bytes, 2);
	return show_message(response, response_length);
}

static void run_example(void **state)
{
	const struct example *example = *state;

	assert_string_equal(ask(example->question), example->response);
}

static size_t add_examples(struct CMUnitTest *tests)
{
	size_t count = sizeof examples / sizeof *examples;

	for (size_t i = 0; i < count; i++)
		tests[i] = (struct CMUnitTest){examples[i].behaviour, run_example, NULL, NULL, (void *)(uintptr_t)&examples[i]};
	return count;
}

/* --- sizes ------------------------------------------------------------------------------ */

static void load(const char *more)
{
	char *text;

	assert_true(asprintf(&text, "%s%s", zone_text, more) > 0);
	store_commit(example_place, zone_of_text("example.", text), STORE_SERVED);
	free(text);
}

static void load_repeated(unsigned count, const char *format)
{
	char *text = calloc(count, 400);
	size_t length = 0;

	for (unsigned i = 1; i <= count; i++)
		length += (size_t)sprintf(text + length, format, i, i, i, i, i, i);
	load(text);
	free(text);
}

static void an_answer_that_does_not_fit_is_truncated_to_nothing(void **state)
{
	(void)state;
	load_repeated(40, "big IN A 192.0.2.%u\n");
	assert_string_equal(ask("big.example. A noedns"), "NOERROR aa tc\n");
	assert_in_range(response_length, 12, 512);
	assert_non_null(strstr(ask("big.example. A edns=1232"), "192.0.2.40"));
	assert_string_equal(ask("big.example. A edns=600"), "NOERROR aa tc edns=1232\n");
	assert_non_null(strstr(ask("big.example. A noedns tcp"), "192.0.2.40"));
}

static void the_whole_limit_is_used_and_no_more(void **state)
{
	(void)state;
	/* header 12, question 17, 30 records of 16: 509; with OPT 520 */
	load_repeated(30, "big IN A 192.0.2.%u\n");
	assert_string_equal(strtok((char *)(uintptr_t)ask("big.example. A noedns"), "\n"), "NOERROR aa");
	assert_int_equal(response_length, 509);
	assert_string_equal(ask("big.example. A edns=519"), "NOERROR aa tc edns=1232\n");
	assert_string_equal(strtok((char *)(uintptr_t)ask("big.example. A edns=520"), "\n"), "NOERROR aa edns=1232");
	assert_int_equal(response_length, 520);
}

static void a_payload_under_512_counts_as_512(void **state)
{
	(void)state;
	load_repeated(28, "big IN A 192.0.2.%u\n");
	assert_string_equal(strtok((char *)(uintptr_t)ask("big.example. A edns=0"), "\n"), "NOERROR aa edns=1232");
	assert_int_equal(response_length, 488);
}

static void our_own_limit_holds_for_clients_that_take_more(void **state)
{
	(void)state;
	load_repeated(100, "big IN A 192.0.2.%u\n");
	assert_string_equal(ask("big.example. A edns=4096"), "NOERROR aa tc edns=1232\n");
}

static void glue_of_the_delegated_zone_that_does_not_fit_sets_tc(void **state)
{
	(void)state;
	load_repeated(14, "deleg IN NS ns%u.deleg\nns%u.deleg IN A 192.0.2.1\nns%u.deleg IN AAAA 2001:db8::1\n");
	assert_int_equal(strncmp(ask("a.deleg.example. A noedns"), "NOERROR tc\n", 11), 0);
	assert_in_range(response_length, 400, 512);
	assert_int_equal(strncmp(ask("a.deleg.example. A noedns tcp"), "NOERROR\n", 8), 0);
}

static void other_addresses_that_do_not_fit_are_left_out(void **state)
{
	(void)state;
	load_repeated(14, "deleg IN NS ns%u\nns%u IN A 192.0.2.1\nns%u IN AAAA 2001:db8::1\nmx IN MX %u ns%u\n");
	assert_int_equal(strncmp(ask("a.deleg.example. A noedns"), "NOERROR\n", 8), 0);
	assert_in_range(response_length, 400, 512);
	assert_int_equal(strncmp(ask("mx.example. MX noedns"), "NOERROR aa\n", 11), 0);
	assert_in_range(response_length, 400, 512);
}

static void a_name_server_set_that_does_not_fit_is_truncated_to_nothing(void **state)
{
	(void)state;
	load_repeated(40, "deleg IN NS server-number-%u.deleg\n");
	assert_string_equal(ask("a.deleg.example. A noedns"), "NOERROR tc\n");
}

static void an_rrset_that_fits_no_message_is_a_failure_over_tcp(void **state)
{
	(void)state;
	load_repeated(5000, "huge IN TXT number-%u\n");
	assert_string_equal(ask("huge.example. TXT tcp"), "SERVFAIL aa edns=1232\n");
}

static void a_long_chain_of_aliases_is_cut(void **state)
{
	const char *text, *last = NULL;

	(void)state;
	load("chain0 IN CNAME chain1\nchain1 IN CNAME chain2\nchain2 IN CNAME chain3\nchain3 IN CNAME chain4\nchain4 IN CNAME chain5\n"
		"chain5 IN CNAME chain6\nchain6 IN CNAME chain7\nchain7 IN CNAME chain8\nchain8 IN CNAME chain9\nchain9 IN CNAME chain10\n"
		"chain10 IN CNAME chain11\nchain11 IN CNAME chain12\nchain12 IN CNAME chain13\nchain13 IN CNAME chain14\n"
		"chain14 IN CNAME chain15\nchain15 IN CNAME chain16\nchain16 IN CNAME chain17\nchain17 IN CNAME chain18\n"
		"chain18 IN A 192.0.2.1\n");
	for (text = ask("chain0.example. A"); (text = strstr(text, "answer ")); text++)
		last = text;
	assert_string_equal(last, "answer chain16.example. 3600 CNAME chain17.example.\n");
	assert_non_null(strstr(ask("chain4.example. A"), "answer chain18.example. 3600 A 192.0.2.1\n"));
}

static void names_in_the_answer_are_compressed(void **state)
{
	(void)state;
	load("");
	ask("alias2.example. TXT noedns");
	/* alias2 CNAME (2+10+8), alias CNAME (2+10+6), www TXT (2+10+5) behind a question of 20 octets */
	assert_int_equal(response_length, 12 + 20 + 20 + 18 + 17);
}

/* The records of one section, sorted as the zone has them: each once. */
static void assert_lines(const char *text, const char *const *lines, size_t count)
{
	size_t found = 0;

	for (const char *at = text; (at = strchr(at, '\n')) && at[1]; at++)
		found++;
	for (size_t i = 0; i < count; i++)
		if (!strstr(text, lines[i]))
			fail_msg("%snot in\n%s", lines[i], text);
	assert_int_equal(found, count);
}

static void name_servers_of_all_shapes_are_written_right(void **state)
{
	static const char *const lines[] = {
		"authority shapes.example. 3600 NS shapes.example.\n", "authority shapes.example. 3600 NS a.ns.shapes.example.\n",
		"authority shapes.example. 3600 NS b.ns.shapes.example.\n", "authority shapes.example. 3600 NS a.b.ns.test.\n",
		"authority shapes.example. 3600 NS b.ns.test.\n", "authority shapes.example. 3600 NS c.b.ns.test.\n",
		"authority shapes.example. 3600 NS xshapes.example.\n", "authority shapes.example. 3600 NS example.\n",
		"authority shapes.example. 3600 NS .\n", "authority shapes.example. 3600 NS test.\n",
		"additional shapes.example. 3600 A 192.0.2.30\n", "additional a.ns.shapes.example. 3600 A 192.0.2.31\n",
		"additional b.ns.shapes.example. 3600 A 192.0.2.32\n", "additional xshapes.example. 3600 A 192.0.2.33\n",
		"additional example. 3600 A 192.0.2.34\n",
	};
	(void)state;
	load("shapes IN NS shapes\nshapes IN NS a.ns.shapes\nshapes IN NS b.NS.shapes\nshapes IN NS a.b.ns.test.\nshapes IN NS b.ns.test.\n"
		"shapes IN NS c.b.ns.test.\nshapes IN NS xshapes\nshapes IN NS @\nshapes IN NS .\nshapes IN NS test.\n"
		"shapes IN A 192.0.2.30\na.ns.shapes IN A 192.0.2.31\nb.ns.shapes IN A 192.0.2.32\nxshapes IN A 192.0.2.33\n@ IN A 192.0.2.34\n");
	for (unsigned i = 0; i < 2; i++)
		assert_lines(ask(i ? "shapes.example. A noedns" : "x.y.shapes.example. A noedns"), lines, sizeof lines / sizeof *lines);
}

static void more_name_servers_than_are_remembered(void **state)
{
	(void)state;
	load_repeated(40, "deleg IN NS ns%u.deleg\nns%u.deleg IN A 192.0.2.%u\n");
	const char *text = ask("a.deleg.example. A tcp");
	char line[100];

	for (unsigned i = 1; i <= 40; i++) {
		snprintf(line, sizeof line, "authority deleg.example. 3600 NS ns%u.deleg.example.\n", i);
		assert_non_null(strstr(text, line));
		snprintf(line, sizeof line, "additional ns%u.deleg.example. 3600 A 192.0.2.%u\n", i, i);
		assert_non_null(strstr(text, line));
	}
}

static void no_host_s_addresses_are_given_twice_however_many_there_are(void **state)
{
	char line[100];

	(void)state;
	load_repeated(40, "many IN MX %u h%u\nmany IN MX 1%u h%u\nh%u IN A 192.0.2.%u\n");
	const char *text = ask("many.example. MX tcp");

	assert_non_null(strstr(text, "additional h1.example."));
	for (unsigned i = 1; i <= 40; i++) {
		snprintf(line, sizeof line, "additional h%u.example.", i);
		const char *once = strstr(text, line);

		assert_null(once ? strstr(once + 1, line) : NULL);
	}
}

static void who_asks_for_the_server_s_identity_is_told(void **state)
{
	struct test_request request = request_of("www.example. TXT");
	struct wbuf out = wbuf_of(request.bytes, sizeof request.bytes);

	(void)state;
	out.at += request.length - 2;
	wbuf_bytes(&out, "\0\10\0\12\0\0\0\3\0\0", 10);     /* another option, then NSID */
	assert_int_equal(ask_bytes(request.bytes, wbuf_used(&out), false), ANSWER_SEND);
	assert_string_equal(show_message(response, response_length), "NOERROR aa edns=1232 options=12\nanswer www.example. 3600 TXT \"text\"\n");
	assert_memory_equal(response + response_length - 12, "\0\3\0\10ns1.test", 12);
	settings.identity = NULL;
	assert_int_equal(ask_bytes(request.bytes, wbuf_used(&out), false), ANSWER_SEND);
	assert_string_equal(show_message(response, response_length), "NOERROR aa edns=1232\nanswer www.example. 3600 TXT \"text\"\n");
	assert_string_equal(ask("id.server. TXT CH"), "REFUSED edns=1232 ede=20\n");
}

/* --- NOTIFY -------------------------------------------------------------------------------- */

static struct { unsigned count; uint8_t zone[NAME_SIZE]; bool has_serial; struct serial serial; bool keyed, full; } heard;

static bool on_notify(void *ctx, const uint8_t *zone, const struct net_addr *from, const struct tsig_key *key, bool has_serial,
	struct serial serial)
{
	assert_ptr_equal(ctx, &heard);
	assert_true(net_addr_equal(from, &client));
	heard.count++;
	name_copy(zone, heard.zone);
	heard.has_serial = has_serial;
	heard.serial = serial;
	heard.keyed = key != NULL;
	return !heard.full;
}

static void free_policy(struct store_policy *policy)
{
	free(policy);
}

static void set_policy(struct acl transfer, struct acl notify)
{
	struct serve_policy *policy = calloc(1, sizeof *policy);

	policy->base.release = free_policy;
	policy->transfer = transfer;
	policy->notify = notify;
	store_set_policy(example_place, &policy->base);
}

static const struct acl_rule anybody = {.any_address = true};

static size_t notify_message(uint8_t *bytes, const char *question, int serial)
{
	struct test_request request = request_of(question);
	struct wbuf out = wbuf_of(bytes, 600);

	wbuf_bytes(&out, request.bytes, request.length);
	bytes[2] = OPCODE_NOTIFY << 3 | MSG_AA >> 8;
	if (serial >= 0) {
		bytes[7] = 1;
		wbuf_bytes(&out, "\xc0\x0c\0\6\0\1\0\0\0\0\0\x16\0\0", 14);
		for (int i = 0; i < 5; i++)
			wbuf_u32(&out, (uint32_t)serial);
	}
	return wbuf_used(&out);
}

static const char *notify(const char *question, int serial)
{
	uint8_t bytes[600];
	size_t length = notify_message(bytes, question, serial);

	heard.count = 0;
	assert_int_equal(ask_bytes(bytes, length, false), ANSWER_SEND);
	return show_message(response, response_length);
}

static void notify_is_heeded_from_whom_it_may_come(void **state)
{
	(void)state;
	settings.notify = on_notify;
	settings.notify_ctx = &heard;
	set_policy((struct acl){0}, (struct acl){&anybody, 1});
	assert_string_equal(notify("eXample. SOA noedns", 42), "NOERROR opcode=4 aa\n");
	assert_int_equal(heard.count, 1);
	assert_true(name_equal(heard.zone, name_of("example.")));
	assert_true(heard.has_serial && !heard.keyed);
	assert_int_equal(heard.serial.v, 42);
	assert_string_equal(notify("example. SOA noedns", -1), "NOERROR opcode=4 aa\n");
	assert_int_equal(heard.count, 1);
	assert_false(heard.has_serial);
}

static void notify_for_which_there_is_no_room(void **state)
{
	(void)state;
	settings.notify = on_notify;
	settings.notify_ctx = &heard;
	set_policy((struct acl){0}, (struct acl){&anybody, 1});
	heard.full = true;
	assert_string_equal(notify("example. SOA noedns", 42), "SERVFAIL opcode=4\n");
	assert_int_equal(counters.notify_dropped, 1);
	assert_int_equal(counters.notify_refused, 0);
}

static void notify_is_refused_from_others(void **state)
{
	static struct acl_rule other;

	(void)state;
	net_prefix_parse(&other.prefix, "192.0.2.0/25", NULL);
	set_policy((struct acl){0}, (struct acl){&other, 1});
	assert_string_equal(notify("example. SOA noedns", 42), "REFUSED opcode=4\n");
	set_policy((struct acl){0}, (struct acl){0});
	assert_string_equal(notify("example. SOA noedns", 42), "REFUSED opcode=4\n");
	assert_string_equal(notify("kid.example. SOA noedns", 42), "REFUSED opcode=4\n");
	assert_int_equal(heard.count, 0);
}

static void notify_for_what_is_no_zone_of_ours(void **state)
{
	(void)state;
	set_policy((struct acl){0}, (struct acl){&anybody, 1});
	assert_string_equal(notify("nowhere. SOA noedns", 42), "NOTAUTH opcode=4\n");
	assert_string_equal(notify("www.example. SOA noedns", 42), "NOTAUTH opcode=4\n");
	assert_string_equal(notify("example. SOA CH noedns", 42), "NOTAUTH opcode=4\n");
	assert_int_equal(heard.count, 0);
}

static void notify_that_makes_no_sense(void **state)
{
	uint8_t bytes[600];
	size_t length = notify_message(bytes, "example. SOA noedns", 42);

	(void)state;
	set_policy((struct acl){0}, (struct acl){&anybody, 1});
	assert_string_equal(notify("example. A noedns", -1), "FORMERR opcode=4\n");
	assert_string_equal(notify("example. SOA ANY noedns", 42), "FORMERR opcode=4\n");
	assert_string_equal(notify("example. SOA NONE noedns", 42), "FORMERR opcode=4\n");
	heard.count = 0;
	bytes[length - 23] = 21;                   /* RDLENGTH: the SOA is short by one, and one octet trails */
	assert_int_equal(ask_bytes(bytes, length, false), ANSWER_SEND);
	assert_string_equal(show_message(response, response_length), "FORMERR opcode=4\n");
	assert_int_equal(ask_bytes(bytes, length - 1, false), ANSWER_SEND);
	assert_string_equal(show_message(response, response_length), "FORMERR opcode=4\n");
	assert_int_equal(heard.count, 0);
}

/* --- signed requests -------------------------------------------------------------------------- */

enum { NOW = 1700000000 };

static struct tsig_key keys[2];
static struct tsig asker;

/* The rcode text, and in `verdict` what the client finds of the reply's signature. */
static const char *ask_signed(const struct tsig_key *key, const char *question, uint64_t now, enum tsig_verdict *verdict)
{
	struct test_request request = request_of(question);
	struct wbuf out = wbuf_of(request.bytes, sizeof request.bytes);
	size_t length;

	out.at += request.length;
	assert_int_equal(tsig_sign_request(&asker, key, &out, now), ERR_OK);
	assert_int_equal(ask_bytes(request.bytes, wbuf_used(&out), request.tcp), ANSWER_SEND);
	*verdict = tsig_verify_reply(&asker, response, response_length, NOW, &length);
	return show_message(response, response_length);
}

static void make_keys(void)
{
	assert_int_equal(tsig_key_parse(&keys[0], "key.one", "hmac-sha256", "c2VjcmV0IG9uZSBzZWNyZXQ=", NULL), ERR_OK);
	assert_int_equal(tsig_key_parse(&keys[1], "key.two", "hmac-sha512", "c2VjcmV0IHR3byBzZWNyZXQ=", NULL), ERR_OK);
	settings.keys = keys;
	settings.key_count = 2;
}

static void a_signed_request_gets_a_signed_answer(void **state)
{
	enum tsig_verdict verdict;

	(void)state;
	make_keys();
	assert_string_equal(ask_signed(&keys[1], "www.example. TXT", NOW, &verdict),
		"NOERROR aa edns=1232 tsig\nanswer www.example. 3600 TXT \"text\"\n");
	assert_int_equal(verdict, TSIG_OK);
	assert_string_equal(ask_signed(&keys[0], "www.nowhere. TXT noedns", NOW, &verdict), "REFUSED tsig\n");
	assert_int_equal(verdict, TSIG_OK);
	assert_int_equal(counters.tsig_ok, 2);
}

static void room_for_the_signature_is_kept(void **state)
{
	enum tsig_verdict verdict;

	(void)state;
	load_repeated(28, "big IN A 192.0.2.%u\n");
	assert_string_equal(ask_signed(&keys[0], "big.example. A noedns", NOW, &verdict), "NOERROR aa tc tsig\n");
	assert_int_equal(verdict, TSIG_OK);
	ask_signed(&keys[0], "big.example. A", NOW, &verdict);
	assert_int_equal(verdict, TSIG_OK);
	load("");
}

static void a_signature_that_is_not_right_is_answered_as_such(void **state)
{
	struct tsig_key wrong = keys[0], unknown = keys[0], other = keys[0];
	enum tsig_verdict verdict;

	(void)state;
	wrong.secret[0] ^= 1;
	name_copy(name_of("key.three"), unknown.name);
	other.algorithm = TSIG_SHA1;
	other.mac_length = 20;
	assert_string_equal(ask_signed(&wrong, "www.example. TXT noedns", NOW, &verdict), "NOTAUTH tsig\n");
	assert_int_equal(verdict, TSIG_PEER_ERROR);
	assert_int_equal(asker.peer_error, RCODE_BADSIG);
	assert_string_equal(ask_signed(&unknown, "www.example. TXT noedns", NOW, &verdict), "NOTAUTH tsig\n");
	assert_int_equal(asker.peer_error, RCODE_BADKEY);
	assert_string_equal(ask_signed(&other, "www.example. TXT noedns", NOW, &verdict), "NOTAUTH tsig\n");
	assert_int_equal(asker.peer_error, RCODE_BADKEY);
	assert_string_equal(ask_signed(&keys[0], "www.example. TXT noedns", NOW - 400, &verdict), "NOTAUTH tsig\n");
	assert_int_equal(verdict, TSIG_PEER_ERROR);
	assert_int_equal(asker.peer_error, RCODE_BADTIME);
	assert_int_equal(asker.peer_time, NOW);
	assert_int_equal(counters.tsig_bad, 4);
}

static void transfers_are_given_by_address_and_key(void **state)
{
	static struct acl_rule rules[2];
	struct test_request request = request_of("example. AXFR tcp");
	enum tsig_verdict verdict;

	(void)state;
	net_prefix_parse(&rules[0].prefix, "192.0.2.200", NULL);
	rules[0].key = &keys[0];
	set_policy((struct acl){rules, 1}, (struct acl){0});
	assert_int_equal(ask_bytes(request.bytes, request.length, true), ANSWER_SEND);
	assert_string_equal(show_message(response, response_length), "REFUSED edns=1232 ede=18\n");
	assert_string_equal(ask_signed(&keys[1], "example. AXFR tcp", NOW, &verdict), "REFUSED edns=1232 ede=18 tsig\n");
	rules[0].key = NULL;
	assert_int_equal(ask_bytes(request.bytes, request.length, true), ANSWER_TRANSFER);
	rules[0].deny = true;
	rules[1] = anybody;
	set_policy((struct acl){rules, 2}, (struct acl){0});
	assert_int_equal(ask_bytes(request.bytes, request.length, true), ANSWER_SEND);
	net_prefix_parse(&rules[0].prefix, "192.0.2.201", NULL);
	assert_int_equal(ask_bytes(request.bytes, request.length, true), ANSWER_TRANSFER);
	assert_int_equal(counters.transfers_out_refused, 5);
}

static void an_allowed_transfer_of_what_is_not_served(void **state)
{
	struct serve_policy *policy = calloc(1, sizeof *policy);

	(void)state;
	policy->base.release = free_policy;
	policy->transfer = (struct acl){&anybody, 1};
	store_set_policy(old_place, &policy->base);
	assert_string_equal(ask("old.example. AXFR tcp"), "SERVFAIL edns=1232 ede=24\n");
}

/* Whoever is not allowed takes nothing that others may have to wait for. */
static void a_refused_transfer_holds_nothing(void **state)
{
	struct zone *zone = store_hold(example_place);
	unsigned before = atomic_load(&zone->holders);

	(void)state;
	set_policy((struct acl){0}, (struct acl){0});
	for (unsigned i = 0; i < 100; i++)
		assert_non_null(strstr(ask("example. AXFR tcp noedns"), "REFUSED"));
	assert_int_equal(atomic_load(&zone->holders), before);
	zone_put(zone);
}

static size_t ixfr_request(uint8_t *bytes, uint32_t serial)
{
	struct test_request request = request_of("example. IXFR noedns");
	struct wbuf out = wbuf_of(bytes, 600);

	wbuf_bytes(&out, request.bytes, request.length);
	bytes[9] = 1;
	wbuf_bytes(&out, "\xc0\x0c\0\6\0\1\0\0\0\0\0\x16\0\0", 14);
	for (int i = 0; i < 5; i++)
		wbuf_u32(&out, serial);
	return wbuf_used(&out);
}

static void ixfr_over_udp_gets_the_soa_alone(void **state)
{
	uint8_t bytes[600];
	size_t length = ixfr_request(bytes, 3);

	(void)state;
	set_policy((struct acl){&anybody, 1}, (struct acl){0});
	assert_int_equal(ask_bytes(bytes, length, false), ANSWER_SEND);
	assert_string_equal(show_message(response, response_length), "NOERROR aa\nanswer " SOA_WHOLE);
	assert_int_equal(ask_bytes(bytes, length, true), ANSWER_TRANSFER);
	assert_string_equal(ask("example. IXFR tcp noedns"), "FORMERR\n");
}

/* The version before, with what `more` says besides; the step from it to what is served is in the history. */
static void set_history(const char *more)
{
	size_t length = strlen(zone_text);
	char *text = calloc(1, length + strlen(more) + 1);
	struct zone *older, *newer = store_hold(example_place);
	struct diff *step;

	memcpy(text, zone_text, length);
	strcpy(text + length, more);
	*strstr(text, "7 3600 900") = '3';
	older = zone_of_text("example.", text);
	assert_int_equal(diff_make(older, newer, 0, &step), ERR_OK);
	store_set_history(example_place, history_add(NULL, step, 1 << 20));
	diff_drop(step);
	zone_put(older);
	zone_put(newer);
	free(text);
}

static void ixfr_over_udp_gets_the_steps_if_they_fit(void **state)
{
	static const char steps[] = "NOERROR aa\nanswer " SOA_WHOLE
		"answer example. 3600 SOA ns1.example. host.example. 3 3600 900 604800 300\nanswer gone.example. 3600 A 192.0.2.99\n"
		"answer " SOA_WHOLE "answer " SOA_WHOLE;
	static char large[2000];
	uint8_t bytes[600];

	(void)state;
	set_policy((struct acl){&anybody, 1}, (struct acl){0});
	set_history("gone IN A 192.0.2.99\n");
	counters.ixfr_out = 0;
	assert_int_equal(ask_bytes(bytes, ixfr_request(bytes, 3), false), ANSWER_SEND);
	assert_string_equal(show_message(response, response_length), steps);
	assert_int_equal(counters.ixfr_out, 1);
	for (unsigned i = 0; i < 3; i++) {   /* another one, ours, a newer one */
		assert_int_equal(ask_bytes(bytes, ixfr_request(bytes, (uint32_t[]){4, 7, 8}[i]), false), ANSWER_SEND);
		assert_string_equal(show_message(response, response_length), "NOERROR aa\nanswer " SOA_WHOLE);
	}
	for (unsigned i = 0, at = 0; i < 20; i++)
		at += (unsigned)sprintf(large + at, "gone IN TXT \"a text of some length, number %u\"\n", i);
	set_history(large);
	assert_int_equal(ask_bytes(bytes, ixfr_request(bytes, 3), false), ANSWER_SEND);
	assert_string_equal(show_message(response, response_length), "NOERROR aa\nanswer " SOA_WHOLE);
	assert_int_equal(counters.ixfr_out, 1);
	store_set_history(example_place, NULL);
}

/* --- counters ------------------------------------------------------------------------------------ */

static void everything_is_counted(void **state)
{
	(void)state;
	memset(&counters, 0, sizeof counters);
	ask("www.example. TXT");
	ask("nothere.example. TXT tcp noedns");
	assert_int_equal(counters.queries_udp, 1);
	assert_int_equal(counters.queries_tcp, 1);
	assert_int_equal(counters.answers_udp, 1);
	assert_int_equal(counters.answers_tcp, 1);
	assert_int_equal(counters.edns, 1);
	assert_int_equal(counters.rcode_noerror, 1);
	assert_int_equal(counters.rcode_nxdomain, 1);
	assert_int_equal(counters.truncated, 0);
	notify("nowhere. SOA noedns", 1);
	assert_int_equal(counters.notify_received, 1);
	assert_int_equal(counters.notify_refused, 1);
	assert_int_equal(counters.rcode_notauth, 1);
}

int main(void)
{
	const struct CMUnitTest others[] = {
		cmocka_unit_test(an_answer_that_does_not_fit_is_truncated_to_nothing),
		cmocka_unit_test(the_whole_limit_is_used_and_no_more),
		cmocka_unit_test(a_payload_under_512_counts_as_512),
		cmocka_unit_test(our_own_limit_holds_for_clients_that_take_more),
		cmocka_unit_test(glue_of_the_delegated_zone_that_does_not_fit_sets_tc),
		cmocka_unit_test(other_addresses_that_do_not_fit_are_left_out),
		cmocka_unit_test(a_name_server_set_that_does_not_fit_is_truncated_to_nothing),
		cmocka_unit_test(an_rrset_that_fits_no_message_is_a_failure_over_tcp),
		cmocka_unit_test(a_long_chain_of_aliases_is_cut),
		cmocka_unit_test(names_in_the_answer_are_compressed),
		cmocka_unit_test(name_servers_of_all_shapes_are_written_right),
		cmocka_unit_test(more_name_servers_than_are_remembered),
		cmocka_unit_test(no_host_s_addresses_are_given_twice_however_many_there_are),
		cmocka_unit_test(who_asks_for_the_server_s_identity_is_told),
		cmocka_unit_test(notify_is_heeded_from_whom_it_may_come),
		cmocka_unit_test(notify_for_which_there_is_no_room),
		cmocka_unit_test(notify_is_refused_from_others),
		cmocka_unit_test(notify_for_what_is_no_zone_of_ours),
		cmocka_unit_test(notify_that_makes_no_sense),
		cmocka_unit_test(a_signed_request_gets_a_signed_answer),
		cmocka_unit_test(room_for_the_signature_is_kept),
		cmocka_unit_test(a_signature_that_is_not_right_is_answered_as_such),
		cmocka_unit_test(transfers_are_given_by_address_and_key),
		cmocka_unit_test(an_allowed_transfer_of_what_is_not_served),
		cmocka_unit_test(a_refused_transfer_holds_nothing),
		cmocka_unit_test(ixfr_over_udp_gets_the_soa_alone),
		cmocka_unit_test(ixfr_over_udp_gets_the_steps_if_they_fit),
		cmocka_unit_test(everything_is_counted),
	};
	struct CMUnitTest tests[sizeof examples / sizeof *examples + sizeof others / sizeof *others];
	size_t count = add_examples(tests);

	memcpy(tests + count, others, sizeof others);
	return cmocka_run_group_tests_name("serve/answer", tests, setup, teardown);
}
