/* SPDX-License-Identifier: MIT */
/*
 * Make before break: an old worker with calls, a relief that starts, fails or dies, calls
 * that come all the time, and an old worker that may die while it is relieved.
 *
 * Shown: without deaths there is a worker that takes calls at every moment; no call is
 * sent to one that drains; every accepted call ends; a drained worker is stopped.
 */
#define CALLS 3

mtype = { EMPTY, STARTING, READY, DRAINING, STOPPING };

mtype state[2];
byte in_flight[2];
bool alive[2];
byte starts = 0;       /* reliefs begun */
byte waiting = 0;      /* in the queue */
byte accepted = 0;
byte ended = 0;
bool died = false;     /* a worker died by itself */
bool asked = false;    /* to be recycled */
byte old = 0;

#define relief (1 - old)

/* Somebody calls. */
active proctype callers()
{
	do
	:: atomic { accepted < CALLS -> accepted++; waiting++ }
	:: accepted == CALLS -> break
	od
}

/* The pool's turn: each branch is one step of the core. */
active proctype pool()
{
	state[0] = READY; alive[0] = true; state[1] = EMPTY;
end_turn:
	do
	:: atomic { waiting > 0 && state[0] == READY && in_flight[0] == 0 ->
		waiting--; in_flight[0]++ }
	:: atomic { waiting > 0 && state[1] == READY && in_flight[1] == 0 ->
		waiting--; in_flight[1]++ }
	:: atomic { asked && starts < 2 && state[old] == READY && state[relief] == EMPTY ->
		starts++; state[relief] = STARTING; alive[relief] = true }
	/* The swap: one step, so that nobody sees the pool without a worker. */
#ifdef WEAK_BREAK_BEFORE_MAKE
	:: atomic { state[relief] == STARTING && state[old] == READY ->
#else
	:: atomic { state[relief] == READY && state[old] == READY ->
#endif
		asked = false; state[old] = DRAINING }
#ifdef WEAK_STOPS_WITH_CALLS
	:: atomic { state[old] == DRAINING ->
#else
	:: atomic { state[old] == DRAINING && in_flight[old] == 0 ->
#endif
		state[old] = STOPPING }
	:: atomic { state[old] == STOPPING && !alive[old] ->
		assert(in_flight[old] == 0);
		state[old] = EMPTY;
		if
		:: state[relief] != EMPTY -> old = relief
		/* It died with nobody to relieve it: it starts again in its place. */
		:: state[relief] == EMPTY -> state[old] = STARTING; alive[old] = true
		fi }
	:: atomic { state[relief] == STOPPING && !alive[relief] ->
		assert(in_flight[relief] == 0);
		state[relief] = EMPTY } /* the old one stays */
	od
}

/* Worker i: answers, becomes ready, dies; its calls go back to the queue. */
proctype worker(byte i)
{
end_work:
	do
	:: atomic { state[i] == STARTING && alive[i] -> state[i] = READY }
	:: atomic { in_flight[i] > 0 && alive[i] ->
		assert(state[i] == READY || state[i] == DRAINING);
		in_flight[i]--; ended++ }
	:: atomic { state[i] == STOPPING && alive[i] -> alive[i] = false }
	:: atomic { !died && alive[i] && state[i] != STOPPING ->
		died = true; alive[i] = false; state[i] = STOPPING;
#ifndef WEAK_FORGETS_CALLS
		waiting = waiting + in_flight[i];
#endif
		in_flight[i] = 0 }
	od
}

active proctype user()
{
	(state[0] == READY);
	run worker(0);
	run worker(1);
	if
	:: asked = true
	:: skip
	fi
}

#define takes (state[0] == READY || state[1] == READY)
ltl no_dip { [] ((state[0] == READY) -> [] (died || takes)) }
ltl all_end { <> (ended == CALLS) }
ltl drained { [] ((state[old] == DRAINING) -> <> (state[old] != DRAINING)) }
