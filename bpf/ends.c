/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * sched_process_exit: what is kept of a thread that ends is marked; whoever reads it next makes
 * room.
 */

int on_thread_end(void *ctx)
{
	u64 thread = bpf_get_current_pid_tgid();

#ifdef KSTATS_LATENCY
	end_latencies(thread);
#endif
#ifdef KSTATS_SPENT
	end_spending(thread);
#endif
	return 0;
}
