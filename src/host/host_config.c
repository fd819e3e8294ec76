#include "host/core.h"
#include "host/settings.h"
#include "lucid/config.h"

/* The one place of this room that knows the names of settings. */
struct host *host_new(struct loop *l, const struct config *c, host_event on_event, void *arg)
{
	const char *const *profiles = config_list(c, "DESKTOP_PROFILES");
	const int ports[] = { (int)config_int(c, "RDP_SERVER_MANAGER_PORT"),	 (int)config_int(c, "XRDP_INTEGRATION_PORT"),
			      (int)config_int(c, "RDP_SESSION_CONTROLLER_PORT"), (int)config_int(c, "RDP_RESOURCE_MONITOR_PORT"),
			      (int)config_int(c, "PROMETHEUS_PORT"),		 0 };
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
		.node = config_str(c, "NODE_NAME"),
		.user_map = config_list(c, "RDP_USER_MAP"),
		.port_start = (int)config_int(c, "PORT_RANGE_START"),
		.port_end = (int)config_int(c, "PORT_RANGE_END"),
		.other_ports = ports,
	};
	return host_new_with(l, &s, on_event, arg);
}

void host_reload(struct host *h, const struct config *c)
{
	settings_user_map(&h->set, config_list(c, "RDP_USER_MAP"));
}
