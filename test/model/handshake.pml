/* SPDX-License-Identifier: MIT */
/*
 * Starting a worker: the host asks the guard, the guard forks, the worker announces
 * itself. Any of the three may die at any step.
 *
 * What the kernel gives and the model takes for granted: a pipe or socket whose other
 * side died reads as its end; a child whose parent died is told by its parent-death
 * signal and dies, unless the signal was not yet set when the parent died, which is why
 * the worker looks at its parent once more after setting it; the guard reaps what dies.
 *
 * Shown: no worker lives on when host and guard are gone (no orphan); no dead worker
 * stays unreaped while a guard lives (no leak); a slot never has two processes; a slot
 * whose worker died is told so, as long as the host lives, and can be used again.
 */
#define SLOTS   1
#define STARTS  3 /* processes the host asks for, one after another */

mtype = { SPAWN, SPAWNED, FAILED, EXITED, ANNOUNCE, STOP };

chan to_guard = [2] of { mtype, byte };
chan to_host = [4] of { mtype, byte };
chan announces = [2] of { mtype, byte };

bool host_lives = true;
bool guard_lives = true;

/* Of the process with this number: */
bool exists[STARTS + 1];  /* forked and not reaped */
bool lives[STARTS + 1];   /* forked and not dead */
bool told[STARTS + 1];    /* to die */
byte in_slot = 0;         /* the host's view: 0 none, else a number */
bool ready = false;
byte wanted = 0;

/* A forked process until its end: it dies when told, by itself, or with its guard. */
proctype worker(byte number)
{
	bool armed = false; /* its death signal came before the guard's death */

	if
	:: guard_lives -> armed = true
	:: !guard_lives -> skip
	fi;
#ifndef WEAK_NO_SECOND_LOOK
	if
	:: !guard_lives -> goto dead
	:: guard_lives -> skip
	fi;
#endif
	if
	:: announces ! ANNOUNCE, number
	:: goto dead /* it crashes before */
	:: armed && !guard_lives -> goto dead
	:: told[number] -> goto dead
	fi;
	do
	:: armed && !guard_lives -> break
	:: told[number] -> break
	:: host_lives && guard_lives && !told[number] -> break /* it crashes */
	od;
dead:
	lives[number] = false
}

/* Reaps in any order, spawns when asked, ends everything when the lifeline breaks. */
active proctype guard()
{
	byte number;
	byte i;

end_idle:
	do
	:: atomic { to_guard ? SPAWN, number ->
		if
		:: !host_lives -> skip
		:: host_lives ->
			if
			:: exists[number] = true; lives[number] = true;
			   run worker(number);
			   to_host ! SPAWNED, number
			:: to_host ! FAILED, number /* fork said no */
			fi
		fi }
	:: atomic { to_guard ? STOP, number -> told[number] = true }
#ifndef WEAK_NO_REAPING
	:: atomic { exists[1] && !lives[1] -> exists[1] = false;
	     if :: host_lives -> to_host ! EXITED, 1 :: else fi }
	:: atomic { exists[2] && !lives[2] -> exists[2] = false;
	     if :: host_lives -> to_host ! EXITED, 2 :: else fi }
	:: atomic { exists[3] && !lives[3] -> exists[3] = false;
	     if :: host_lives -> to_host ! EXITED, 3 :: else fi }
#endif
	:: !host_lives -> break
	:: !guard_lives -> goto gone
	od;
	/* The lifeline broke: kill all, reap all, go. */
#ifndef WEAK_NO_LIFELINE
	for (i : 1 .. STARTS) {
		told[i] = true
	}
#endif
	for (i : 1 .. STARTS) {
		if
		:: !exists[i] -> skip
		:: exists[i] && !lives[i] -> exists[i] = false
		:: !guard_lives -> goto gone
		fi
	}
gone:
	guard_lives = false
}

active proctype host()
{
	byte number;
	bool stopping = false;

end_idle:
	do
	:: atomic { in_slot == 0 && wanted < STARTS && guard_lives && nfull(to_guard) ->
		wanted++;
		in_slot = wanted;
		ready = false;
		stopping = false;
		to_guard ! SPAWN, wanted }
	:: atomic { to_host ? SPAWNED, number -> assert(number == in_slot) }
	:: atomic { to_host ? FAILED, number ->
		assert(number == in_slot);
		in_slot = 0 }
#ifdef WEAK_SLOT_FREE_AT_STOP
	:: atomic { in_slot != 0 && stopping -> in_slot = 0 }
#endif
	:: atomic { to_host ? EXITED, number ->
		assert(number == in_slot);
		in_slot = 0;
		ready = false }
	:: atomic { announces ? ANNOUNCE, number ->
		if
		:: number == in_slot -> ready = true
		:: number != in_slot -> skip /* the word of one that is gone */
		fi }
	:: atomic { in_slot != 0 && !stopping && guard_lives && nfull(to_guard) ->
		stopping = true;
		to_guard ! STOP, in_slot }
	:: !host_lives -> break
	:: !guard_lives && empty(to_host) -> break /* it opens another one: a new model */
	od;
	host_lives = false
}

/* SIGKILL for either, at any time or never. */
active proctype death()
{
	if
	:: host_lives = false
	:: guard_lives = false
	:: skip
	fi
}

/* Never two processes for one slot. */
active proctype watch()
{
end_watch:
	assert(!(lives[1] && lives[2]) && !(lives[2] && lives[3]) && !(lives[1] && lives[3]))
}

/* When the host is gone, in the end nobody lives. */
ltl no_orphan { [] (!guard_lives -> <> (!lives[1] && !lives[2] && !lives[3])) }
ltl host_gone { [] (!host_lives -> <> (!lives[1] && !lives[2] && !lives[3])) }
/* A guard that lives reaps. */
ltl no_leak { [] ((exists[1] && !lives[1]) -> <> (!exists[1] || !guard_lives)) }
/* The host is told, or there is no guard any more to tell. */
ltl slot_comes_back { [] ((in_slot == 1 && !lives[1] && exists[1]) -> <> (in_slot != 1 || !guard_lives || !host_lives)) }
