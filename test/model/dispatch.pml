/* SPDX-License-Identifier: MIT */
/*
 * One call, its worker's answer, the end of the connection, the exit report, a timer
 * and a cancellation, in every order: exactly one ending, and the call does not run
 * again when it may have run.
 *
 * Three sources tell the host of a worker: its connection (answer, end of file), the
 * guard (exit) and the host's own clock. They are channels of their own, so that their
 * order is free; only the order inside each is kept. The worker marks its page before
 * user code begins; the host reads the page when the worker is reaped, not before.
 */
#define ATTEMPTS_MAX 2

mtype = { REQUEST, ANSWER, CLOSED, EXIT };

chan calls = [1] of { mtype, byte };       /* host to worker: which attempt */
chan connection = [3] of { mtype, byte };  /* worker to host */
chan guard = [2] of { mtype, byte };       /* guard to host */

bool begun[ATTEMPTS_MAX + 1]; /* the page */
byte runs = 0;                /* how often user code began */
byte endings = 0;
bool accepted = false;
bool cancelled = false;       /* the caller asked */
bool idempotent;

/* The process of attempt n; it may die between any two steps, and lose its connection
 * while it lives and goes on with what it has read. */
proctype worker(byte n)
{
	byte which;
	bool connected = true;

	if
	:: calls ? REQUEST, which -> skip
	:: goto dead
	fi;
	if
	:: connection ! CLOSED, n; connected = false
	:: skip
	fi;
	if
	:: goto dead
	:: begun[n] = true; runs++
	fi;
	if
	:: goto dead
	:: connected -> connection ! ANSWER, n
	:: goto end_hang
	fi;
	goto dead;
end_hang:
	(false);
dead:
	/* The kernel closes the socket and the guard reports the death, in either order. */
	if
	:: connected -> connection ! CLOSED, n; guard ! EXIT, n
	:: guard ! EXIT, n;
		if
		:: connected -> connection ! CLOSED, n
		:: !connected -> skip
		fi
	fi
}

active proctype host()
{
	byte attempt = 1;
	byte n;
	bool sent = false;     /* the call is with the worker of `attempt` */
	bool gone[ATTEMPTS_MAX + 1];
	bool exited[ATTEMPTS_MAX + 1];

	if
	:: idempotent = true
	:: idempotent = false
	fi;
	accepted = true;
	run worker(attempt);
	calls ! REQUEST, attempt;
	sent = true;

end_served:
	do
	:: atomic { connection ? ANSWER, n ->
		if
#ifdef WEAK_LATE_ANSWERS
		:: n == attempt -> sent = false; endings++
#else
		:: sent && n == attempt -> sent = false; endings++
#endif
		:: else -> skip /* late: it finds nothing */
		fi }
	:: atomic { connection ? CLOSED, n -> gone[n] = true } /* the cause comes with the exit */
	:: atomic { guard ? EXIT, n -> exited[n] = true }
#ifdef WEAK_NO_FENCING
	:: atomic { sent && gone[attempt] ->
#else
	:: atomic { sent && exited[attempt] && gone[attempt] ->
#endif
		/* The answer, if there was one, was read before the end of the connection. */
		if
#ifndef WEAK_FORGETS_EXECUTED
		:: begun[attempt] && !idempotent -> sent = false; endings++
#endif
		:: (!begun[attempt] || idempotent) && attempt == ATTEMPTS_MAX ->
			sent = false; endings++
#ifdef WEAK_FORGETS_EXECUTED
		:: attempt < ATTEMPTS_MAX ->
#else
		:: (!begun[attempt] || idempotent) && attempt < ATTEMPTS_MAX ->
#endif
			attempt++;
			if
			:: nempty(calls) -> calls ? _, _ /* of the dead one; its socket is gone */
			:: empty(calls) -> skip
			fi;
			run worker(attempt);
			calls ! REQUEST, attempt
		fi }
#ifndef WEAK_NO_DEADLINE
	:: atomic { sent -> sent = false; endings++ } /* its deadline */
#endif
	:: atomic { sent && cancelled -> sent = false; endings++ }
	od
}

active proctype caller()
{
	if
	:: cancelled = true
	:: skip
	fi
}

active proctype watch()
{
end_watch:
	assert(endings <= 1);
	assert(idempotent || runs <= 1)
}

ltl once { [] (endings <= 1) }
ltl not_twice { [] ((accepted && !idempotent) -> runs <= 1) }
ltl answered { [] (accepted -> <> (endings == 1)) }
