/* SPDX-License-Identifier: MIT */
/*
 * What SQLite's result codes mean here.
 *
 * A failed fsync lasts: the kernel has dropped what it could not write and says so once,
 * so a second fsync that succeeds would prove nothing. A failed write passes: SQLite has
 * taken the transaction back and writes over what there is of it.
 */
#include "store/fault.h"

#include <errno.h>

#include "base/error.h"

static int is_no_room(int os_errno)
{
    return os_errno == ENOSPC || os_errno == EDQUOT || os_errno == EFBIG;
}

static int is_sync(int rc)
{
    return rc == SQLITE_IOERR_FSYNC || rc == SQLITE_IOERR_DIR_FSYNC;
}

/* errno behind the last failure of the log, else of the file. A commit that fails does not
 * tell sqlite3_system_errno(), so the files are asked. */
static int last_errno(sqlite3 *db)
{
    sqlite3_file *log = NULL;
    int os_errno = 0;
    if (db == NULL) {
        return 0;
    }
    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) ==
            SQLITE_OK &&
        log != NULL && log->pMethods != NULL) {
        (void)log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &os_errno);
    }
    if (os_errno == 0) {
        (void)sqlite3_file_control(db, "main", SQLITE_FCNTL_LAST_ERRNO, &os_errno);
    }
    return os_errno != 0 ? os_errno : sqlite3_system_errno(db);
}

enum fault sp__fault_of(sqlite3 *db, int rc)
{
    switch (rc & 0xff) {
    case SQLITE_FULL:
        return FAULT_FULL;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return FAULT_LASTING;
    case SQLITE_IOERR:
        return is_sync(rc)                                              ? FAULT_LASTING
               : rc != SQLITE_IOERR_NOMEM && is_no_room(last_errno(db)) ? FAULT_FULL
                                                                        : FAULT_PASSING;
    default:
        return FAULT_PASSING;
    }
}

int sp__fault_fail(sqlite3 *db, int rc, const char *doing, sp_error *err)
{
    if ((rc & 0xff) == SQLITE_NOMEM || rc == SQLITE_IOERR_NOMEM) {
        return sp__fail(err, SP_ERR_NOMEM, "%s: no memory", doing);
    }
    if (sp__fault_of(db, rc) == FAULT_FULL) {
        return sp__fail(err, SP_ERR_STORE_FULL, "%s: no room on the disk", doing);
    }
    int os_errno = last_errno(db);
    const char *text = db == NULL ? sqlite3_errstr(rc) : sqlite3_errmsg(db);
    if ((rc & 0xff) == SQLITE_IOERR && os_errno != 0 && !is_sync(rc)) {
        return sp__fail_errno(err, os_errno, "%s: %s", doing, text);
    }
    return sp__fail(err, SP_ERR_STORE, "%s: %s", doing, text);
}
