/* pressure: pressure stall information (PSI) of the host and of control groups. Floor F3, any thread; reads one kernel file. */
#ifndef HOST_KERNEL_PRESSURE_H
#define HOST_KERNEL_PRESSURE_H

/* The share of the last 10 s, in percent, in which at least one process waited: "some avg10=" of a file such as /proc/pressure/cpu.
 * -1: the file is missing or cannot be read, as on a kernel without PSI. */
double pressure_read(const char *path);

#endif
