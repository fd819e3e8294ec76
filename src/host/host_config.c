#include "host/instance/cert_watch.h"
#include "host/core.h"
#include "host/cgroup/groups.h"
#include "host/host.h"
#include "host/instance/instance.h"
#include "host/settings.h"
#include "lucid/config.h"
#include "lucid/str.h"

static struct login_settings login_settings(const struct config *c)
{
	return (struct login_settings){
		.timeout_s = (int)config_int(c, "LOGIN_TIMEOUT"),
		.per_address = (int)config_int(c, "RDP_CONNECTIONS_PER_ADDRESS"),
		.max_failures = (int)config_int(c, "LOGIN_MAX_FAILURES"),
		.block_s = (int)config_int(c, "LOGIN_BLOCK_SECONDS"),
		.per_server = (int)config_int(c, "MAX_CONNECTIONS_PER_SERVER"),
	};
}

static struct recording_settings recording_settings(const struct config *c)
{
	struct recording_settings s = {
		.high_water = config_int(c, "STORAGE_HIGH_WATER_MB") << 20,
		.low_water = config_int(c, "STORAGE_LOW_WATER_MB") << 20,
		.max_bytes = config_int(c, "MAX_STORAGE_SIZE_GB") << 30,
		.frame_rate = (int)config_int(c, "DEFAULT_FRAME_RATE"),
		.starting_max = (int)config_int(c, "PIPELINE_WORKER_COUNT"),
		.timeout_s = (int)config_int(c, "PIPELINE_TIMEOUT_SECONDS"),
		.segment_records = (int)config_int(c, "PIPELINE_BUFFER_SIZE"),
	};
	str_copy(s.quality, sizeof s.quality, config_str(c, "DEFAULT_QUALITY"));
	str_copy(s.compression, sizeof s.compression, config_str(c, "DEFAULT_COMPRESSION"));
	return s;
}

/* The only file of src/host that knows the names of settings. */
struct host *host_new(struct loop *l, const struct config *c, host_event on_event, void *arg)
{
	const char *const *profiles = config_list(c, "DESKTOP_PROFILES");
	_cleanup_(xfreep) int *ports = config_listen_ports(c);
	struct host_settings s = {
		.data_dir = config_str(c, "DATA_DIR"),
		.log_dir = config_str(c, "LOG_DIR"),
		.runtime_dir = config_str(c, "RUNTIME_DIR"),
		.xrdp = config_str(c, "XRDP_BINARY"),
		.sesman = config_str(c, "XRDP_SESMAN_BINARY"),
		.xrdp_config = config_str(c, "XRDP_CONFIG_PATH"),
		.xrdp_log = config_str(c, "XRDP_LOG_PATH"),
		.cert_file = config_str(c, "XRDP_CERT_FILE"),
		.key_file = config_str(c, "XRDP_KEY_FILE"),
		.desktop_profiles = profiles && profiles[0] ? profiles : NULL,
		.desktop_default = config_str(c, "DESKTOP_DEFAULT"),
		.pam_session_exclude = config_list(c, "PAM_SESSION_EXCLUDE"),
		.node = config_str(c, "NODE_NAME"),
		.user_map = config_list(c, "RDP_USER_MAP"),
		.port_start = (int)config_int(c, "PORT_RANGE_START"),
		.port_end = (int)config_int(c, "PORT_RANGE_END"),
		.other_ports = ports,
		.login = login_settings(c),
		.log_retention_days = config_int(c, "LOG_RETENTION_DAYS"),
		.session_storage = config_str(c, "SESSION_STORAGE_PATH"),
		.chunk_storage = config_str(c, "CHUNK_STORAGE_PATH"),
		.recording = recording_settings(c),
	};
	return host_new_with(l, &s, on_event, arg);
}

void host_reload(struct host *h, const struct config *c)
{
	struct instance *i;
	settings_user_map(&h->set, config_list(c, "RDP_USER_MAP"));
	cert_watch_look(h->cert_watch, true);
	h->set.login = login_settings(c);
	h->set.log_retention_days = config_int(c, "LOG_RETENTION_DAYS");
	h->set.recording = recording_settings(c);
	INSTANCE_FOREACH (i, h)
		groups_limit(i);
}
