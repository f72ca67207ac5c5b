// homeward_forward_server.h: the transaction of a call, and rows. No exception leaves it.

#include "publisher/bindings/c/c_abi_transaction.hpp"

#include <chrono>
#include <utility>
#include <vector>

#include <homeward/replay/libpqxx.hpp>

namespace forward = homeward::forward;

struct homeward_rows {
    pqxx::result result;
};

namespace {

/// libpqxx 6.4, 7 and 8 differ in how values are passed.
template <typename Work>
pqxx::result run(Work& work, const std::string& sql, const std::vector<const char*>& values) {
    if (values.empty()) return work.exec(sql);
#if PQXX_VERSION_MAJOR < 7
    return work.exec_params(sql, pqxx::prepare::make_dynamic_params(values));
#else
    pqxx::params params;
    for (const char* value : values) {
        if (value == nullptr) {
            params.append();
        } else {
            params.append(std::string(value));
        }
    }
    if constexpr (requires { work.exec(sql, params); }) {
        return work.exec(sql, params);
    } else {
        return work.exec_params(sql, params);
    }
#endif
}

/// Remembers why a statement failed; without memory only that it did.
void note_failure(homeward_tx& tx, const std::exception& error) noexcept {
    tx.failure = std::current_exception();
    try {
        tx.sqlstate = homeward::replay::sqlstate_of(error);
        tx.error = error.what();
    } catch (const std::exception&) {
        tx.error.clear();
    }
}

void end(homeward_tx& tx) {
    tx.has_ended = true;
    // The worker frees the transaction from here on.
    if (tx.pulled != nullptr) tx.pulled->end(tx);
}

template <typename Row>
bool has(const homeward_rows* rows, Row row, std::size_t column) {
    return rows != nullptr && row < static_cast<std::size_t>(rows->result.size()) &&
           column < static_cast<std::size_t>(rows->result.columns());
}

}  // namespace

homeward_tx::homeward_tx(pqxx::work& transaction, const forward::Call& from)
    : work(transaction),
      region(from.region),
      app(from.app),
      operation(from.operation),
      key(from.key) {
    call.size = sizeof call;
    call.region = region.c_str();
    call.app = app.c_str();
    call.operation = operation.c_str();
    call.key = key.c_str();
    call.body = from.body.data();
    call.body_bytes = from.body.size();
    call.deadline_us =
        std::chrono::duration_cast<std::chrono::microseconds>(from.deadline.time_since_epoch())
            .count();
}

std::string homeward_tx::result() {
    if (reply) return std::move(*reply);
    if (refusal) throw forward::CallFailed(*refusal);
    if (failure) std::rethrow_exception(failure);
    throw forward::CallFailed("exception", "the handler has neither replied nor failed");
}

const homeward_call* homeward_tx_call(const homeward_tx* tx) {
    return tx == nullptr ? nullptr : &tx->call;
}

homeward_rows* homeward_tx_query(homeward_tx* tx, const char* sql, const char* const* values,
                                 size_t count) {
    if (tx == nullptr || sql == nullptr || (values == nullptr && count > 0)) return nullptr;
    try {
        tx->sqlstate.clear();
        tx->error.clear();
        std::vector<const char*> texts(values, values + count);
        return new homeward_rows{run(tx->work, sql, texts)};
    } catch (const std::exception& error) {
        note_failure(*tx, error);
        return nullptr;
    }
}

const char* homeward_tx_sqlstate(const homeward_tx* tx) {
    return tx == nullptr ? "" : tx->sqlstate.c_str();
}

const char* homeward_tx_error(const homeward_tx* tx) {
    return tx == nullptr ? "" : tx->error.c_str();
}

void homeward_tx_reply(homeward_tx* tx, const char* body, size_t body_bytes) {
    if (tx == nullptr || tx->has_ended) return;
    try {
        tx->reply.emplace(body == nullptr ? "" : body, body == nullptr ? 0 : body_bytes);
    } catch (const std::exception&) {
        tx->reply.reset();  // no memory: rolled back
    }
    end(*tx);
}

void homeward_tx_fail(homeward_tx* tx, const char* code, const char* text) {
    if (tx == nullptr || tx->has_ended) return;
    try {
        if (code != nullptr) tx->refusal.emplace(code, text == nullptr ? "" : text);
    } catch (const std::exception&) {
        tx->refusal.reset();
    }
    end(*tx);
}

size_t homeward_rows_count(const homeward_rows* rows) {
    return rows == nullptr ? 0 : static_cast<size_t>(rows->result.size());
}

size_t homeward_rows_columns(const homeward_rows* rows) {
    return rows == nullptr ? 0 : static_cast<size_t>(rows->result.columns());
}

size_t homeward_rows_affected(const homeward_rows* rows) {
    return rows == nullptr ? 0 : static_cast<size_t>(rows->result.affected_rows());
}

const char* homeward_rows_name(const homeward_rows* rows, size_t column) {
    if (rows == nullptr || column >= homeward_rows_columns(rows)) return nullptr;
    return rows->result.column_name(static_cast<int>(column));
}

const char* homeward_rows_value(const homeward_rows* rows, size_t row, size_t column) {
    if (!has(rows, row, column)) return nullptr;
    const auto field = rows->result[static_cast<int>(row)][static_cast<int>(column)];
    return field.is_null() ? nullptr : field.c_str();
}

void homeward_rows_free(homeward_rows* rows) {
    delete rows;
}
