/* mongo_server: a MongoDB-compatible server that belongs to the test: mongod if it is on the PATH, otherwise FerretDB
 * (test/lib/ferretdb). It is killed and frozen, so it is never a server that others use. */
#ifndef TEST_MONGO_SERVER_H
#define TEST_MONGO_SERVER_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lucid/base.h"

#define PATIENCE_MS 60000 /* of each request: a bound, for machines on which the server gets little processor time */

static char root[] = "/tmp/lrdp-mongo-XXXXXX";
static char program[512];
static int port;
static pid_t server;

/* The libraries were not built for TSan, so it does not see the counters and locks with which their threads synchronise what they know of the
 * servers. Races within the libraries are suppressed, races in the program's own code are not. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race:libmongoc-1.0.so\nrace:libbson-1.0.so\n";
}

static inline int free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || getsockname(fd, (struct sockaddr *)&a, &n) < 0)
		abort();
	close(fd);
	return ntohs(a.sin_port);
}

static inline bool listens(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool there = connect(fd, (struct sockaddr *)&a, sizeof a) == 0;
	close(fd);
	return there;
}

static inline void start_server(void)
{
	char where[64], number[16];
	snprintf(where, sizeof where, "127.0.0.1:%d", port);
	snprintf(number, sizeof number, "%d", port);
	server = fork();
	if (server == 0) {
		int fd = open("/dev/null", O_RDWR);
		dup2(fd, 1);
		dup2(fd, 2);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (strstr(program, "mongod"))
			execl(program, program, "--dbpath", root, "--bind_ip", "127.0.0.1", "--port", number, (char *)NULL);
		execl(program, program, where, root, (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 600 && !listens(); i++)
		usleep(50000);
}

static inline void end_server(void)
{
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
}

static inline void find_program(void)
{
	FILE *f = popen("command -v mongod || test/lib/ferretdb", "re");
	if (!f || !fgets(program, sizeof program, f))
		program[0] = 0;
	program[strcspn(program, "\n")] = 0;
	if (f)
		pclose(f);
}

static inline char *url_of(const char *name)
{
	return xasprintf("mongodb://127.0.0.1:%d/lrdp_%d_%s", port, (int)getpid(), name);
}

static inline bool mongo_server_begin(void)
{
	find_program();
	if (!mkdtemp(root) || !*program) {
		fprintf(stderr, "there is no mongod, and test/lib/ferretdb makes none\n");
		return false;
	}
	port = free_port();
	start_server();
	return true;
}

/* False: its files could not be removed. */
static inline bool mongo_server_end(void)
{
	end_server();
	_cleanup_(xfreep) char *remove = xasprintf("rm -rf %s", root);
	return system(remove) == 0;
}

#endif
