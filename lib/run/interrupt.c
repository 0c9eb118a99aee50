#include "run/interrupt.h"

#include <signal.h>

bool interrupt_begin(struct interrupt *i, struct event_base *loop, event_callback_fn call, void *ctx)
{
	static const int numbers[] = {SIGINT, SIGTERM};

	for (unsigned n = 0; n < 2; n++) {
		i->signals[n] = evsignal_new(loop, numbers[n], call, ctx);
		if (!i->signals[n] || event_add(i->signals[n], NULL) < 0)
			return false;
	}
	return true;
}

void interrupt_release(struct interrupt *i)
{
	for (unsigned n = 0; n < 2; n++)
		if (i->signals[n])
			event_free(i->signals[n]);
}
