/* run/control: the daemon's side of the control socket, a Unix stream socket (mode 0660). A client sends one line of JSON,
 *
 *     {"verb":"status","zones":["example.com."],"all":false,"full":false,"table":false,
 *      "from":"hidden","template":"t","name":"www.example.com.","type":"A"}
 *
 * with the members that the verb uses; the daemon answers with lines of JSON, each one object, and closes:
 *
 *     {"progress":{"zone":"example.com.","records":12345,"bytes":456,"seconds":0.5}}   transfer, while it runs
 *     {"zones":[...]}                                                                 status of all zones, results of many, in pieces
 *     {"text":"..."}                                                                  dump, in pieces
 *     {"error":"one line"}                                                            it failed (exit status 1)
 *     {"done":{...}}                                                                  last: the verb's result
 *
 * The results are described where they are made: status and stats in run/status, the others in run/verbs. The operator's command
 * that speaks this is run/client; t/620-client.t holds both sides to it. On the event loop's thread.
 */
#ifndef RUN_CONTROL_H
#define RUN_CONTROL_H

#include "base/err.h"

struct event_base;
struct control;
struct control_session;

/* What is done with a request is run/verbs' part. */
typedef void control_handler(void *ctx, struct control_session *, const char *line, size_t length);
/* The client has gone, or has been answered: forget the session. */
typedef void control_closed(void *ctx, struct control_session *);

/* Listens at `path` (a stale socket is replaced, a living one is an error; its directory is made). A client
 * that has said nothing for 10 s before its request is complete is closed. There are at most 64 sessions: beyond that the one that
 * has waited longest without a request gives way, and if there is none the new one is told so. */
struct control *control_new(struct event_base *, const char *path, control_handler *, control_closed *, void *ctx, struct why *);
void control_free(struct control *);

/* One line (without its end) to the client. */
void control_send(struct control_session *, const char *line);
/* Octets that the client has not taken yet. */
size_t control_unsent(const struct control_session *);
/* Ends the session when all is sent. */
void control_finish(struct control_session *);
/* Takes the socket out, blocking from now on, for a thread of its own; the session is over. */
int control_take_socket(struct control_session *);
void *control_data(const struct control_session *);
void control_set_data(struct control_session *, void *);

#endif
