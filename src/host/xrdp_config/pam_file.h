/*
 * pam_file: the PAM file of an instance and the files it includes for access, as text. Floor F3, any process; allocates, does no input or
 * output. Its session part, from the host's configuration, is pam_session.h. Account names from requests must have the form of an account
 * name.
 */
#ifndef HOST_XRDP_CONFIG_PAM_FILE_H
#define HOST_XRDP_CONFIG_PAM_FILE_H

#include "lucid/doc.h"

struct ini_in;

/* All return text the caller frees. This one is mounted over /etc/pam.d/xrdp-sesman in the namespace of the instance. */
char *pam_file_text(const struct ini_in *in);
/* /etc/xrdp/pam-access: which accounts may log in. It is a file of its own because it changes with the definition while the server runs. */
char *pam_access_text(const json_t *spec);
/* One name a line, for pam_listfile, from the list at this path of `spec`; NULL if the list is empty, so every account may log in. */
char *pam_names_text(const json_t *spec, const char *list);

#endif
