#include "sys/fork_quiet.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

pid_t fork_quiet(void)
{
	sigset_t all, before, none;
	sigfillset(&all);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid_t pid = fork();
	int err = errno;
	for (int s = 1; pid == 0 && s < NSIG; s++)
		signal(s, SIG_DFL);
	sigprocmask(SIG_SETMASK, pid == 0 ? &none : &before, NULL);
	errno = err;
	return pid;
}
