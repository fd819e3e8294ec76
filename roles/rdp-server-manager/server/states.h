/* states: the states of a server and the transitions between them, as tables. Floor F6, pure. */
#ifndef SERVERS_STATES_H
#define SERVERS_STATES_H

#include "lucid/object.h"

enum server_status {
	SERVER_CREATING,
	SERVER_CONFIGURING,
	SERVER_STARTING,
	SERVER_RUNNING,
	SERVER_STOPPING,
	SERVER_STOPPED,
	SERVER_FAILED,
	SERVER_STATUS_COUNT
};
#define SERVER_TRANSITIONS 23
extern const struct object_state server_states[SERVER_STATUS_COUNT];
extern const struct object_transition server_transitions[SERVER_TRANSITIONS];
const char *server_status_to_string(enum server_status s);

#endif
