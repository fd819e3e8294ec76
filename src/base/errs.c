#include "lucid/errs.h"

#include "lucid/str.h"

static const struct row {
	const char *name, *code, *text;
	int status;
	bool again;
} rows[ERR_COUNT] = {
	[ERR_OK] = { "OK", "", "", 200, false },
#define ERR(n, c, s, a, t) [ERR_##n] = { #n, c, t, s, a },
#include "lucid/errs.def"
#undef ERR
};

static const struct row *row(int err)
{
	if (err < 0)
		err = -err;
	return &rows[err < ERR_COUNT ? err : ERR_INTERNAL];
}

const char *err_name(int err)
{
	return row(err)->name;
}

const char *err_code(int err)
{
	return row(err)->code;
}

int err_status(int err)
{
	return row(err)->status;
}

bool err_again(int err)
{
	return row(err)->again;
}

const char *err_text(int err)
{
	return row(err)->text;
}

int err_from_name(const char *s)
{
	for (int i = 1; i < ERR_COUNT; i++)
		if (str_eq(rows[i].name, s))
			return i;
	return ERR_INTERNAL;
}

int err_from_code(const char *s)
{
	for (int i = 1; i < ERR_COUNT; i++)
		if (str_eq(rows[i].code, s))
			return i;
	return ERR_INTERNAL;
}
