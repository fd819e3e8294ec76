/*
 * sensors: temperature and throttling of the host's processor, and the traffic of its network interfaces. Floor F3, any thread. Reads a
 * bounded number of kernel files. `sys` is "/sys", `proc` is "/proc"; tests pass directories of their own.
 */
#ifndef HOST_KERNEL_SENSORS_H
#define HOST_KERNEL_SENSORS_H

#include "lucid/base.h"

struct sensors {
	bool has_temperature;
	double celsius; /* of the hottest thermal zone */
	int throttled;	/* 1: the processor runs slower now because of heat or low voltage; 0: it does not; -1: not known */
	int64_t throttle_events; /* since the host started; -1: not known */
};
void sensors_read(const char *sys, struct sensors *ret);

/* Bytes of the physical interfaces; of all but lo where there are none, as in a container. False: not known. */
bool sensors_network(const char *sys, const char *proc, int64_t *ret_in, int64_t *ret_out);

#endif
