/* Runs a harness with every file of the given directories: the committed corpus, in each test run. */
#include <dirent.h>
#include <stdio.h>

#include "fuzz.h"

static int replay(const char *path)
{
	static uint8_t data[1 << 20];
	FILE *f = fopen(path, "rb");
	if (!f)
		return 0;
	size_t n = fread(data, 1, sizeof data, f);
	fclose(f);
	LLVMFuzzerTestOneInput(data, n);
	return 1;
}

int main(int argc, char **argv)
{
	int files = 0;
	for (int i = 1; i < argc; i++) {
		DIR *d = opendir(argv[i]);
		char path[4096];
		for (struct dirent *e; d && (e = readdir(d));)
			if (e->d_name[0] != '.' && (size_t)snprintf(path, sizeof path, "%s/%s", argv[i], e->d_name) < sizeof path)
				files += replay(path);
		if (d)
			closedir(d);
	}
	printf("%d inputs\n", files);
	return files ? 0 : 1;
}
