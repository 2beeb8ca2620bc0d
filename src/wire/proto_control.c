/* SPDX-License-Identifier: MIT */
/* The tables of the messages about reports: numbers as in control.proto. */
#include "wire/proto_control.h"

PROTO_TABLE(report_get, "GetReportRequest", PROTO_SLOT(report_get, name, 1, PROTO_TEXT),
            PROTO_SLOT(report_get, options_json, 2, PROTO_JSON));

PROTO_TABLE(report_get_reply, "GetReportResponse",
            PROTO_SLOT(report_get_reply, text, 1, PROTO_BLOB));
