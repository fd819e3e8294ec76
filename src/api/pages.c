#include "api/pages.h"

#include "api/assets/assets.h"
#include "api/events/events.h"
#include "api/health.h"
#include "api/metrics_page.h"
#include "api/reference/reference.h"
#include "api/routes.h"

/* /metrics is public here; its page function requires a token unless METRICS_PUBLIC is set. */
static const struct page_row pages[] = {
	{ "/health", health_page, true, OP_PUBLIC, RATE_EXEMPT, false, NULL },
	{ "/health/live", health_live_page, true, OP_PUBLIC, RATE_EXEMPT, false, NULL },
	{ "/health/ready", health_ready_page, true, OP_PUBLIC, RATE_EXEMPT, false, NULL },
	{ "/metrics", metrics_page_page, true, OP_PUBLIC, RATE_EXEMPT, false, NULL },
	{ "/openapi.json", reference_openapi_page, false, OP_PUBLIC, RATE_DEFAULT, false, NULL },
	{ "/events", events_page, false, OP_USER, RATE_DEFAULT, true, &events_query },
	{ "/docs", reference_docs_page, false, OP_PUBLIC, RATE_DEFAULT, false, NULL },
	{ "/redoc", reference_docs_page, false, OP_PUBLIC, RATE_DEFAULT, false, NULL },
	{ "/player", assets_player_page, false, OP_PUBLIC, RATE_DEFAULT, false, NULL },
	{ "/", root_page, false, OP_PUBLIC, RATE_DEFAULT, false, NULL },
};

void pages_add(struct listener *l, bool bare_alone)
{
	for (size_t i = 0; i < ARRAY_LEN(pages); i++)
		if (pages[i].bare || !bare_alone)
			routes_add_page(l, &pages[i]);
	for (size_t i = 0; i < n_assets && !bare_alone; i++)
		routes_add_page(l, &(struct page_row){ assets[i].path, assets_page, false, OP_PUBLIC, RATE_DEFAULT, false, NULL });
}
