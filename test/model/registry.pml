/* SPDX-License-Identifier: MIT */
/*
 * One instance, one directory: the lock, the registry of processes, and a second start.
 *
 * A lock taken with flock() belongs to the open file; the guard inherits it and keeps it
 * until it ends, so it is free only when host and guard are gone. Worker processes do
 * not inherit it. Who gets the lock waits for what a dead run left (the registry names
 * each process, written before it is started) and serves afterwards.
 *
 * Shown: never two that serve; nobody serves while a process of an earlier run lives;
 * of two that start at least one serves, and in the end the lock is free.
 */
#define RUNS 2

byte lock_holds = 0;      /* descriptors of the lock that are open */
bool serves[RUNS];
bool host[RUNS];          /* lives */
bool guard[RUNS];
bool reserved[RUNS];      /* in the registry */
bool worker[RUNS];        /* its process lives */
bool refused[RUNS];
bool over[RUNS];          /* this run is done with all of its parts */

/* Whatever is left in the registry by others is ended; strangers are never in it. */
inline sweep(me)
{
	other = 1 - me;
	if
	:: reserved[other] ->
		worker[other] = false; /* SIGKILL by pidfd, then its end is waited for */
		reserved[other] = false
	:: !reserved[other] -> skip
	fi
}

proctype guardian(byte me)
{
	/* Spawns one worker, written down first. */
	if
	:: host[me] ->
#ifdef WEAK_FORK_THEN_WRITE
		if
		:: worker[me] = true; reserved[me] = true
		:: worker[me] = true; goto killed
#else
		reserved[me] = true;
		if
		:: worker[me] = true /* forked */
#endif
		:: skip              /* the guard is killed between the two */
		fi
	:: !host[me] -> skip
	fi;
	/* The guard ends with its host or is killed; its worker ends with it when it can
	 * (the parent-death signal), or is left for the sweep (another user, a setuid
	 * program: the signal is cleared then). */
	if
	:: !host[me]
	:: skip
	fi;
	if
	:: worker[me] = false; reserved[me] = false
	:: skip
	fi;
#ifdef WEAK_FORK_THEN_WRITE
killed:
#endif
#ifdef WEAK_GUARD_WITHOUT_LOCK
	guard[me] = false
#else
	atomic { guard[me] = false; lock_holds-- }
#endif
}

proctype run_host(byte me)
{
	byte other;

	host[me] = true;
	if
#ifdef WEAK_LOOK_THEN_LOCK
	:: lock_holds == 0 -> lock_holds++
#else
	:: atomic { lock_holds == 0 -> lock_holds++ }
#endif
	:: lock_holds > 0 -> refused[me] = true; host[me] = false; goto end
	fi;
#ifndef WEAK_NO_SWEEP
	sweep(me);
#endif
	assert(!worker[1 - me]);
	/* The guard inherits the descriptor before it runs. */
#ifdef WEAK_GUARD_WITHOUT_LOCK
	atomic { guard[me] = true; run guardian(me) };
#else
	atomic { lock_holds++; guard[me] = true; run guardian(me) };
#endif
	serves[me] = true;
	assert(!serves[1 - me]);
	assert(!worker[1 - me]);
	/* It serves for a while and ends, by itself or by SIGKILL. */
	atomic { serves[me] = false; host[me] = false; lock_holds-- };
end:
	over[me] = true
}

init {
	atomic { run run_host(0); run run_host(1) }
}

ltl one_serves { [] !(serves[0] && serves[1]) }
ltl lock_comes_free { <> [] (lock_holds == 0) }
ltl somebody_serves { <> (serves[0] || serves[1]) }
ltl earlier_is_gone { [] ((serves[1] -> !worker[0]) && (serves[0] -> !worker[1])) }
