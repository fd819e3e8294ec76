/* reserve: keeps two supervisors on one host from choosing the same number at the same time. An abstract socket name stands for the number
 * until the chosen thing itself shows that it is in use. Floor F3, supervisor only; nothing waits. Another program may bind these names too:
 * then the search goes on with the next number. */
#ifndef HOST_KERNEL_RESERVE_H
#define HOST_KERNEL_RESERVE_H

/* Returns a descriptor, which holds the reservation until the caller closes it; -EADDRINUSE: somebody has it; or another -errno. */
int reserve(const char *what, int number);

#endif
