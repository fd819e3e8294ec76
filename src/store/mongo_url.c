/* mongo_url: what is wrong with a connection string, in words that show nothing of it. Nothing here starts the library, so that
 * the supervisor may ask before it forks. */
#include <mongoc/mongoc.h>

#include <stdio.h>

#include "lucid/str.h"
#include "store/open.h"

int store_check_mongo_url(const char *url, char *why, size_t size)
{
	bson_error_t e = { 0 };
	mongoc_uri_t *u = mongoc_uri_new_with_error(url, &e);
	if (!u) /* what it says could quote the password */
		snprintf(why, size, "it is no MongoDB connection string: mongodb://user:password@host:port/database, with what is special in user and password percent-encoded");
	const char *database = u ? mongoc_uri_get_database(u) : NULL;
	static const char *const theirs[] = { "admin", "local", "config" };
	int rc = u ? 0 : -ERR_INVALID;
	for (size_t i = 0; rc == 0 && database && i < ARRAY_LEN(theirs); i++)
		if (str_eq(database, theirs[i])) {
			snprintf(why, size, "the database %s is MongoDB's own: name another one, and give authSource=%s as an option where the login is there", database, database);
			rc = -ERR_INVALID;
		}
	mongoc_uri_destroy(u);
	return rc;
}

bool store_mongo_url_is_loopback(const char *url)
{
	mongoc_uri_t *u = mongoc_uri_new(url);
	const mongoc_host_list_t *h = u ? mongoc_uri_get_hosts(u) : NULL;
	bool all = h != NULL;
	for (; h; h = h->next)
		all &= str_eq(h->host, "localhost") || str_eq(h->host, "::1") || str_starts(h->host, "127.");
	mongoc_uri_destroy(u);
	return all;
}
