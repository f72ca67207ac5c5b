#include "consumer/postgres/sqlstate.hpp"
#include "consumer/postgres/pg_connect.hpp"

#include "tests/support/catch.hpp"

using namespace homeward::consumer;

TEST_CASE("every row of the table, and what stands in none, leads to its own answer") {
    struct Row {
        const char* sqlstate;
        ErrorClass expected;
    };
    // PostgreSQL's documentation, appendix A.
    const Row rows[] = {
        {"HW001", ErrorClass::settled},  // homeward.settle(): in the ledger already
        {"HW007", ErrorClass::schema},   // homeward.check_columns(): a column was altered
        {"23505", ErrorClass::settled},  // unique_violation
        {"08000", ErrorClass::retry},    // connection_exception
        {"08006", ErrorClass::retry},    // connection_failure
        {"25006", ErrorClass::retry},    // read_only_sql_transaction
        {"25P02", ErrorClass::retry},    // in_failed_sql_transaction
        {"25P03", ErrorClass::retry},    // idle_in_transaction_session_timeout
        {"40001", ErrorClass::retry},    // serialization_failure
        {"40P01", ErrorClass::retry},    // deadlock_detected
        {"53100", ErrorClass::retry},    // disk_full
        {"53200", ErrorClass::retry},    // out_of_memory
        {"53300", ErrorClass::retry},    // too_many_connections
        {"55P03", ErrorClass::retry},    // lock_not_available
        {"55006", ErrorClass::retry},    // object_in_use
        {"57014", ErrorClass::retry},    // query_canceled
        {"57P01", ErrorClass::retry},    // admin_shutdown
        {"57P02", ErrorClass::retry},    // crash_shutdown
        {"57P03", ErrorClass::retry},    // cannot_connect_now
        {"58030", ErrorClass::retry},    // io_error
        {"22001", ErrorClass::data},     // string_data_right_truncation
        {"22003", ErrorClass::data},     // numeric_value_out_of_range
        {"22008", ErrorClass::data},     // datetime_field_overflow
        {"22P05", ErrorClass::data},     // untranslatable_character: \u0000 in jsonb
        {"23502", ErrorClass::data},     // not_null_violation
        {"23503", ErrorClass::data},     // foreign_key_violation
        {"23514", ErrorClass::data},     // check_violation
        {"54000", ErrorClass::data},     // program_limit_exceeded: too long for an index
        {"44000", ErrorClass::data},     // with_check_option_violation
        {"P0001", ErrorClass::data},     // raise_exception
        {"42501", ErrorClass::schema},   // insufficient_privilege
        {"42703", ErrorClass::schema},   // undefined_column
        {"42P01", ErrorClass::schema},   // undefined_table
        {"42804", ErrorClass::schema},   // datatype_mismatch
        {"0A000", ErrorClass::schema},   // feature_not_supported
        {"3D000", ErrorClass::schema},   // invalid_catalog_name
        {"3F000", ErrorClass::schema},   // invalid_schema_name
        {"XX000", ErrorClass::unknown},  // internal_error
        {"P0002", ErrorClass::unknown},  // no_data_found
        {"02000", ErrorClass::unknown},  // no_data
        {"HW002", ErrorClass::unknown},  // none of ours
        {"99999", ErrorClass::unknown}, {"", ErrorClass::unknown},
    };
    for (const Row& row : rows) {
        INFO(row.sqlstate);
        CHECK(classify(row.sqlstate, true) == row.expected);
        CHECK(classify(row.sqlstate, false) == row.expected);
    }
}

TEST_CASE("a password that was refused is a mistake at first and a rotation later") {
    CHECK(classify("28P01", false) == ErrorClass::schema);
    CHECK(classify("28P01", true) == ErrorClass::retry);
    CHECK(classify("28000", true) == ErrorClass::retry);
}

TEST_CASE("COPY's line is read from its context in any language, or not at all") {
    const auto row_of = [](const char* context) { return copy_row_of(context, "audit_events2"); };
    CHECK(row_of("COPY audit_events2, line 17") == 16);
    CHECK(row_of("COPY audit_events2, line 1") == 0);
    CHECK(row_of("COPY audit_events2, Zeile 17, Spalte actor: »7«") == 16);
    CHECK(row_of("COPY audit_events2, ligne 17") == 16);
    CHECK(row_of("COPY audit_events2の17行") == 16);
    CHECK(row_of("audit_events2 복사, 17 줄") == 16);
    CHECK(row_of("PL/pgSQL function f() line 2 at RAISE\nCOPY audit_events2, line 9") == 8);
    CHECK(row_of("COPY audit_events2, line 9\nPL/pgSQL function f() line 2 at RAISE") == -1);
    CHECK(row_of("PL/pgSQL function f() line 2 at RAISE") == -1);
    CHECK(row_of("") == -1);
    CHECK(row_of("COPY audit_events2, line ") == -1);
    CHECK(row_of("COPY audit_events2, line 99999999999999999999") == -1);
    CHECK(copy_row_of("COPY \"odd, line 3\", line 5, column actor: \"x\"", "\"odd, line 3\"") == 4);
}

TEST_CASE("a refused connection's SQLSTATE is read in any language, the most telling first") {
    CHECK(sqlstate_in("connection to server at \"::1\", port 5432 failed: FATAL:  28P01: "
                      "Passwort-Authentifizierung für Benutzer »a« fehlgeschlagen\n"
                      "ORT:  auth_failed, auth.c:338") == "28P01");
    CHECK(sqlstate_in("致命错误:  3D000: 数据库 \"x\" 不存在") == "3D000");
    CHECK(sqlstate_in("host a: FATAL:  57P03: the database system is starting up\n"
                      "host b: FATAL:  28000: no pg_hba.conf entry") == "28000");
    CHECK(sqlstate_in("FATAL:  53300: sorry\nFATAL:  57P03: starting up") == "53300");
    CHECK(sqlstate_in("connection to server failed: Connection refused") == "");
    CHECK(sqlstate_in("a  28P0") == "");
    CHECK(sqlstate_in("FATAL:  28P01") == "");
    CHECK(sqlstate_in("  ") == "");
}
