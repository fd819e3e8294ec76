/* reference_split: prints the files of conf/split, for an installation with each role on its own host. Floor F7; sub-command only. */
#ifndef APP_COMMANDS_REFERENCE_SPLIT_H
#define APP_COMMANDS_REFERENCE_SPLIT_H

#include "lucid/role.h"

void reference_split_shared(void);			/* shared.env: settings that all hosts share */
void reference_split_role(const struct role *r);	/* ROLE.env */

#endif
