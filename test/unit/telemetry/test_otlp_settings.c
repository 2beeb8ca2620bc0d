/* SPDX-License-Identifier: MIT */
/* OTEL_*: what is read, what wins, what is passed over. */
#include "telemetry/otlp_settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leak.h"

static const char *const names[] = {"OTEL_SDK_DISABLED",
                                    "OTEL_EXPORTER_OTLP_ENDPOINT",
                                    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
                                    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
                                    "OTEL_EXPORTER_OTLP_HEADERS",
                                    "OTEL_EXPORTER_OTLP_TIMEOUT",
                                    "OTEL_METRIC_EXPORT_INTERVAL",
                                    "OTEL_SERVICE_NAME",
                                    "OTEL_RESOURCE_ATTRIBUTES"};

static void set(const char *name, const char *value)
{
    assert_int_equal(setenv(name, value, 1), 0);
}

static void clean(void)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(unsetenv(names[i]), 0);
    }
}

static struct otlp_settings settings;

static void read_settings(const char *option)
{
    sp_error err = {0};
    if (sp__otlp_settings_read(&settings, option, "prod-a", &err) != SP_OK) {
        fail_msg("%s", err.message);
    }
}

static const char *resource(const char *key)
{
    for (size_t i = 0; i < settings.resource_count; i++) {
        if (strcmp(settings.resource[i].key, key) == 0) {
            return settings.resource[i].text;
        }
    }
    return NULL;
}

static void it_is_wanted_by_option_or_environment(void **state)
{
    (void)state;
    clean();
    assert_false(sp__otlp_is_wanted(NULL));
    assert_false(sp__otlp_is_wanted(""));
    assert_true(sp__otlp_is_wanted("http://h"));
    set("OTEL_EXPORTER_OTLP_ENDPOINT", "");
    assert_false(sp__otlp_is_wanted(NULL)); /* empty is not set */
    set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://h/t");
    assert_true(sp__otlp_is_wanted(NULL));
    assert_false(sp__otlp_is_wanted(""));
    set("OTEL_SDK_DISABLED", "TRUE");
    assert_false(sp__otlp_is_wanted("http://h"));
    clean();
}

static void the_signals_own_address_is_taken_as_it_is(void **state)
{
    (void)state;
    clean();
    set("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:4318/base/");
    set("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "https://m/");
    read_settings(NULL);
    assert_string_equal(settings.traces_url, "http://h:4318/base/v1/traces");
    assert_string_equal(settings.metrics_url, "https://m/");
    sp__otlp_settings_fini(&settings);
    read_settings("http://o:1");
    assert_string_equal(settings.traces_url, "http://o:1/v1/traces");
    assert_string_equal(settings.metrics_url, "http://o:1/v1/metrics");
    sp__otlp_settings_fini(&settings);
    clean();
}

static void lists_are_decoded_and_nonsense_is_passed_over(void **state)
{
    (void)state;
    clean();
    set("OTEL_EXPORTER_OTLP_HEADERS",
        " a = 1%2C2 ,nonsense,=x,b=c%0d%0aevil: 1,d=%zz%4");
    set("OTEL_RESOURCE_ATTRIBUTES", "service.name=lower,team=a%3Db,,");
    set("OTEL_SERVICE_NAME", "higher");
    set("OTEL_EXPORTER_OTLP_TIMEOUT", "2500");
    set("OTEL_METRIC_EXPORT_INTERVAL", "soon");
    read_settings("http://h");
    assert_string_equal(settings.headers[2], "a: 1,2");
    assert_string_equal(settings.headers[3], "d: %zz%4");
    assert_null(settings.headers[4]);
    assert_string_equal(resource("service.name"), "higher");
    assert_string_equal(resource("team"), "a=b");
    assert_string_equal(resource("service.instance.id"), "prod-a");
    assert_int_equal(settings.timeout_ms, 2500);
    assert_int_equal(settings.metrics_interval_ms, 60000);
    sp__otlp_settings_fini(&settings);
    clean();
}

static void more_than_there_is_room_for_is_left_out(void **state)
{
    (void)state;
    char list[8 * 200 + 1];
    clean();
    for (size_t i = 0; i < 200; i++) {
        (void)snprintf(list + 8 * i, 9, "k%03zu=v1,", i);
    }
    set("OTEL_EXPORTER_OTLP_HEADERS", list);
    set("OTEL_RESOURCE_ATTRIBUTES", list);
    read_settings("http://h");
    assert_int_equal(settings.resource_count, OTLP_RESOURCE_MAX);
    assert_non_null(settings.headers[OTLP_HEADERS_MAX - 1]);
    assert_null(settings.headers[OTLP_HEADERS_MAX]);
    sp__otlp_settings_fini(&settings);
    clean();
}

static void an_address_that_is_none_is_an_error(void **state)
{
    (void)state;
    static char long_url[4000];
    sp_error err = {0};
    clean();
    assert_int_equal(sp__otlp_settings_read(&settings, "h:4318", "", &err),
                     SP_ERR_CONFIG);
    assert_non_null(strstr(err.message, "h:4318"));
    memset(long_url, 'x', sizeof long_url - 1);
    memcpy(long_url, "http://", 7);
    assert_int_equal(sp__otlp_settings_read(&settings, long_url, "", &err),
                     SP_ERR_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_is_wanted_by_option_or_environment),
        TEST(the_signals_own_address_is_taken_as_it_is),
        TEST(lists_are_decoded_and_nonsense_is_passed_over),
        TEST(more_than_there_is_room_for_is_left_out),
        TEST(an_address_that_is_none_is_an_error),
    };
    return cmocka_run_group_tests_name("otlp_settings", tests, NULL, NULL);
}
