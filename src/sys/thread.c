#include "sys/thread.h"

#include <signal.h>
#include <stdio.h>

struct beginning {
	void *(*run)(void *arg);
	void *arg;
	char name[16];
};

/* The thread sets its own name: in a process that is not dumpable, the name of another thread cannot be written. */
static void *thread_begin(void *arg)
{
	struct beginning b = *(struct beginning *)arg;
	free(arg);
	pthread_setname_np(pthread_self(), b.name);
	return b.run(b.arg);
}

int thread_start(pthread_t *ret, const char *name, size_t stack_bytes, void *(*run)(void *arg), void *arg)
{
	struct beginning *b = XNEW(struct beginning);
	sigset_t all, old;
	pthread_attr_t attr;
	*b = (struct beginning){ .run = run, .arg = arg };
	snprintf(b->name, sizeof b->name, "%s", name);
	pthread_attr_init(&attr);
	if (stack_bytes)
		pthread_attr_setstacksize(&attr, stack_bytes);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int err = pthread_create(ret, &attr, thread_begin, b);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (err)
		free(b);
	return err;
}
