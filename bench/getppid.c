/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* getppid COUNT: nanoseconds of a system call that does next to nothing, on the CPU it is on. */

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	long i, count = argc > 1 ? atol(argv[1]) : 1;
	struct timespec begun, ended;

	clock_gettime(CLOCK_MONOTONIC, &begun);
	for (i = 0; i < count; i++)
		syscall(SYS_getppid);
	clock_gettime(CLOCK_MONOTONIC, &ended);
	printf("%.2f\n",
	       ((ended.tv_sec - begun.tv_sec) * 1e9 + (ended.tv_nsec - begun.tv_nsec)) / count);
	return 0;
}
