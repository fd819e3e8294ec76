/* dirs: the directories that a path in xrdp.ini or sesman.ini may lead to. Floor F3. */
#ifndef HOST_SYSTEM_XRDP_DIRS_H
#define HOST_SYSTEM_XRDP_DIRS_H

/* In addition to the fixed ones (key_table.h). */
struct hostcfg_dirs {
	const char *config; /* XRDP_CONFIG_PATH */
	const char *data;   /* DATA_DIR: generated certificates */
	const char *log;    /* XRDP_LOG_PATH */
};

#endif
