#include "app/commands/reference_split.h"

#include <ctype.h>
#include <stdio.h>

#include "app/roles.h"

static const char shared[] =
	"# Settings that all processes of an installation on several hosts share. Give this file first, then the file of the role:\n"
	"#   lucid-rdp --env-file shared.env --env-file rdp-server-manager.env\n"
	"# The host names are examples; replace them, or set the variables in the environment.\n"
	"ENVIRONMENT=production\n\n"
	"# One line each, readable by root only. Roles authenticate to each other with them, so both files must be the same on every host.\n"
	"# Create each once with: openssl rand -hex 32\n"
	"JWT_SECRET_FILE=/etc/lucid-rdp/secrets/jwt_secret\n"
	"MASTER_KEY_FILE=/etc/lucid-rdp/secrets/master_key\n\n"
	"# The store that all processes share. The file contains one line: mongodb://user:password@host:27017/lucid_rdp\n"
	"MONGODB_URL_FILE=/etc/lucid-rdp/secrets/mongodb_url\n\n"
	"# Rate limits and events between processes. Without Redis, limits are counted per process, and events travel over REST.\n"
	"REDIS_URL_FILE=/etc/lucid-rdp/secrets/redis_url\n\n"
	"# The URL of each role. A process does not use the URLs of the roles that it runs itself.\n";
static const char shared_end[] =
	"\n# The RDP ports of servers on each host. The manager assigns them, and the agents listen on them.\n"
	"PORT_RANGE_START=13389\n"
	"PORT_RANGE_END=14389\n\n"
	"# Restrict access to these ports to the hosts of the installation, or use TLS (and https in the URLs above).\n"
	"#TLS_CERT_FILE=/etc/lucid-rdp/tls/cert.pem\n"
	"#TLS_KEY_FILE=/etc/lucid-rdp/tls/key.pem\n"
	"#TLS_CLIENT_CA_FILE=/etc/lucid-rdp/tls/ca.pem\n\n"
	"# Prometheus reads /metrics on the port of each role.\n"
	"PROMETHEUS_ENABLED=false\n";

void reference_split_shared(void)
{
	fputs(shared, stdout);
	for (const struct role *const *r = all_roles; *r; r++) {
		printf("%s=http://${", (*r)->option[ROLE_OPT_URL]);
		for (const char *p = (*r)->host; *p; p++)
			putchar(toupper((unsigned char)*p));
		printf("_HOST:-%s.internal}:%s\n", (*r)->host, (*r)->port);
	}
	fputs(shared_end, stdout);
}

void reference_split_role(const struct role *r)
{
	const char *name = r->name;
	printf("# %s\nROLE=%s\nBIND_ADDRESS=0.0.0.0\nDATA_DIR=/var/lib/lucid-rdp/%s\nLOG_DIR=/var/log/lucid-rdp/%s\nRUNTIME_DIR=/run/lucid-rdp/%s\n",
	       r->about_host, name, name, name, name);
	if (r->host_settings)
		printf("\n%s", r->host_settings);
}
