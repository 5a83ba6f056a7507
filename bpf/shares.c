/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Fair shares of the hashes that the processes of all VMs share. A process may hold one entry for
 * every KSTATS_SHARE free ones, so no process can fill a hash, and some room always remains for
 * those that come later. The switches of networks divide their buffers in the same way ("dynamic
 * thresholds"): nobody needs to know how many processes there are.
 *
 * A share is looked up only where an entry is added: an exit that finds its entry costs no more.
 * What does not fit is counted by process. The ring buffer of slow exits is shared in the same way.
 */

#define EVERYONE (~0ULL)

/* What happened to the entries of a process. */
struct share {
	u64 added[SHARED_HASHES];
	u64 refused[SHARED_HASHES]; /* how often */
	u64 second;                 /* when the second of `reported` began */
	u64 reported;               /* slow exits in this second */
};

/* By process ID; EVERYONE for all of them. */
HASH(shares, u64, struct share);

/* What the reader has deleted since. Only the reader writes it. */
struct deleted {
	u64 n[SHARED_HASHES];
};

HASH(share_deleted, u64, struct deleted);

static __always_inline u64 held(struct share *share, u64 process, enum shared_hash hash)
{
	struct deleted *deleted = map_lookup(MAP(share_deleted), &process);
	u64 n = deleted ? deleted->n[hash] : 0;

	/* The reader may have forgotten what another process with this number had added. */
	return share->added[hash] > n ? share->added[hash] - n : 0;
}

/* Whether a process may have one more of `size` entries. */
static __always_inline bool fits(struct share *own, struct share *all, u64 process,
				 enum shared_hash hash, u64 size)
{
	return held(own, process, hash) * NUMBER(KSTATS_SHARE) + held(all, EVERYONE, hash) < size;
}

/*
 * Add an entry, of which a hash has `size`, to the share of a process. Several CPUs may find room
 * at the same time: then each of them adds an entry.
 */
static __always_inline bool add_to_share(u64 process, enum shared_hash hash, void *map, u64 size,
					 const void *key, const void *value)
{
	struct share none = {}, *own, *all;
	u64 everyone = EVERYONE;

	own = find_or_add(MAP(shares), &process, &none);
	all = find_or_add(MAP(shares), &everyone, &none);
	if (!own || !all)
		return false;
	if (!fits(own, all, process, hash, size) || map_update(map, key, value, NO_EXIST)) {
		__sync_fetch_and_add(&own->refused[hash], 1);
		return false;
	}
	__sync_fetch_and_add(&own->added[hash], 1);
	__sync_fetch_and_add(&all->added[hash], 1);
	return true;
}
