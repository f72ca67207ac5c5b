#include "consumer/repair/erasure.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "consumer/postgres/packed_table.hpp"
#include "consumer/postgres/schema.hpp"
#include "consumer/postgres/sql_text.hpp"
#include "schemas/cli/usage_error.hpp"

namespace homeward::consumer {
namespace {

using nlohmann::json;

/// Of one transaction: 8 MiB of a partition, whatever of it is deleted.
constexpr std::int64_t kBlocksMax = 1'024;
/// Of packs, whose values are elsewhere: about 100,000 events.
constexpr std::int64_t kPackBlocksMax = 2;
constexpr std::int64_t kBlocksPerMib = 128;
constexpr std::int64_t kLettersMax = 1'000;
/// Each looks for what has moved meanwhile.
constexpr int kPassesMax = 8;
constexpr std::string_view kExtra = "extra.";

bool is_extra(const std::string& field) {
    return field.rfind(kExtra, 0) == 0 && field.size() > kExtra.size();
}

std::string condition_sql(PgConnection& leader, const EventType& type, const FieldValue& one,
                          const std::string& value) {
    if (is_extra(one.field)) {
        // The key is text of the statement: in hexadecimal, which needs no quoting.
        return "e.extra ->> pg_catalog.convert_from(pg_catalog.decode('" +
               bytea_text(one.field.substr(kExtra.size())).substr(2) +
               "', 'hex'), 'UTF8') = " + value;
    }
    const auto field =
        std::find_if(type.fields.begin(), type.fields.end(),
                     [&](const Field& candidate) { return candidate.name == one.field; });
    if (field == type.fields.end()) {
        std::string known;
        for (const Field& candidate : type.fields) known += " " + candidate.name;
        throw cli::UsageError("type \"" + type.name + "\" has no field \"" + one.field +
                              "\"; it has" + known + ", and extra.KEY for others");
    }
    const std::string column = "e." + leader.quote(field->name);
    if (field->array) {
        Field scalar = *field;
        scalar.array = false;
        return value + "::" + catalog_name(scalar) + " = ANY (" + column + ")";
    }
    return column + " = " + value + "::" + catalog_name(*field);
}

std::string sha256_hex(const std::string& text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int bytes = 0;
    EVP_Digest(text.data(), text.size(), digest.data(), &bytes, EVP_sha256(), nullptr);
    return bytea_text({reinterpret_cast<const char*>(digest.data()), bytes});
}

/// As a person writes it: text without quotes.
bool is_value(const json& found, const std::string& value) {
    if (found.is_string()) return found.get_ref<const std::string&>() == value;
    if (found.is_array()) {
        return std::any_of(found.begin(), found.end(),
                           [&](const json& element) { return is_value(element, value); });
    }
    const json wanted = json::parse(value, nullptr, false);
    return !wanted.is_discarded() && found == wanted;
}

}  // namespace

Erasure::Erasure(PgConnection& leader, const std::string& event_schema, const EventType& type,
                 std::vector<FieldValue> conditions)
    : leader_(leader),
      event_schema_(event_schema),
      type_(with_former_fields(leader, event_schema, type)),
      conditions_(std::move(conditions)) {
    std::sort(conditions_.begin(), conditions_.end(), [](const auto& a, const auto& b) {
        return std::pair(a.field, a.value) < std::pair(b.field, b.value);
    });
    std::string text = type.name;
    for (std::size_t i = 0; i < conditions_.size(); ++i) {
        where_ += (i == 0 ? "" : " AND ") +
                  condition_sql(leader, type_, conditions_[i], "$" + std::to_string(i + 1));
        for (const std::string* part : {&conditions_[i].field, &conditions_[i].value}) {
            text += std::to_string(part->size()) + ":" + *part;
        }
    }
    digest_ = sha256_hex(text);
}

bool Erasure::is_resumed() {
    return leader_
               .query(
                   "SELECT EXISTS (SELECT FROM homeward.erasure"
                   " WHERE digest = $1::bytea AND completed_at IS NULL)",
                   {digest_})
               .at(0, 0) == "t";
}

void Erasure::begin() {
    std::vector<std::string> fields;
    for (const FieldValue& one : conditions_) fields.push_back(one.field);
    leader_.query(
        "INSERT INTO homeward.erasure (type, fields, digest) VALUES ($1, $2::text[], $3::bytea)"
        " ON CONFLICT (digest) WHERE completed_at IS NULL DO NOTHING",
        {type_.name, array_text(fields), digest_});
    id_ = leader_
              .query(
                  "SELECT id FROM homeward.erasure"
                  " WHERE digest = $1::bytea AND completed_at IS NULL",
                  {digest_})
              .number(0, 0);
}

/// In the order of their numbers, in which new ones come last.
std::vector<Erasure::Partition> Erasure::partitions() {
    const QueryResult found = leader_.query(
        "SELECT p.partition, pg_catalog.format('%I.%I', p.partition_schema, p.partition_name), "
        "c.relkind,"
        " t.is_packed FROM homeward.tables_of($1, $2) AS t JOIN homeward.event_partitions() AS p"
        "  ON p.table_schema = t.table_schema AND p.table_name = t.table_name"
        " JOIN pg_class c ON c.oid = p.partition ORDER BY p.partition",
        {event_schema_, type_.table});
    std::vector<Partition> partitions;
    for (int i = 0; i < found.rows(); ++i) {
        if (found.at(i, 2) != "r") {
            throw cli::UsageError(
                "partition " + std::string(found.at(i, 1)) +
                " is no table with rows of its own; detach it, and erase in it by "
                "hand");
        }
        partitions.push_back(
            {found.number(i, 0), std::string(found.at(i, 1)), found.at(i, 3) == "t"});
    }
    return partitions;
}

std::int64_t Erasure::blocks_of(const Partition& partition) {
    return leader_
        .query(
            "SELECT coalesce(pg_relation_size($1::oid), 0)"
            " / current_setting('block_size')::int8",
            {partition.oid})
        .number(0, 0);
}

std::vector<Parameter> Erasure::values() const {
    std::vector<Parameter> values;
    for (const FieldValue& one : conditions_) values.emplace_back(one.value);
    return values;
}

std::string Erasure::delete_rows(const Partition& partition, const std::string& blocks) const {
    return "gone AS (DELETE FROM " + partition.name + " e WHERE " + blocks + " AND " + where_ +
           " RETURNING e.origin, e.seq)";
}

/// Packs with such an event go, and come again without it.
std::string Erasure::delete_packed(const Partition& partition, const std::string& blocks) const {
    const PackedTable packed(leader_, event_schema_, type_);
    const std::vector<std::string> columns = event_columns(type_);
    return "hit AS (DELETE FROM " + partition.name + " e WHERE " + blocks +
           " AND EXISTS (SELECT FROM (" + packed.view().select_packs(columns, "", "(SELECT e.*)") +
           ") AS e WHERE " + where_ +
           ") RETURNING e.*),"
           " event AS MATERIALIZED (SELECT e.*, coalesce(" +
           where_ + ", false) AS _is_gone FROM (" + packed.view().select_packs(columns, "", "hit") +
           ") AS e), kept AS (" +
           packed.pack_statement("SELECT * FROM event WHERE NOT _is_gone", kPackEventsMax) +
           "), gone AS (SELECT origin, seq FROM event WHERE _is_gone)";
}

/// One transaction: the rows, what was noted of them when they were redriven, the account, and how
/// far we have come.
void Erasure::erase_blocks(const Partition& partition, std::int64_t first, std::int64_t end) {
    const auto tid = [](std::int64_t block) { return "'(" + std::to_string(block) + ",0)'::tid"; };
    const std::string blocks = "e.ctid >= " + tid(first) + " AND e.ctid < " + tid(end);
    leader_.execute("BEGIN");
    const QueryResult gone =
        leader_.query("WITH " +
                          (partition.is_packed ? delete_packed(partition, blocks)
                                               : delete_rows(partition, blocks)) +
                          ", letters AS (DELETE FROM homeward.dead_letter d USING gone g"
                          "  WHERE d.origin = g.origin AND d.seq = g.seq AND d.state = 'redriven')"
                          " SELECT count(*), homeward.record_erased(pg_catalog.array_agg(origin), "
                          "pg_catalog.array_agg(seq)) FROM gone",
                      values());
    leader_.query(
        "UPDATE homeward.erasure SET partition = $2::oid, block_next = $3, rows = rows + $4"
        " WHERE id = $1",
        {id_, partition.oid, end, gone.number(0, 0)});
    leader_.execute("COMMIT");
}

void Erasure::erase_partition(const Partition& partition, std::int64_t first,
                              const std::function<void(std::int64_t)>& on_block) {
    // Those of v0.1.0 are not made so. By itself, since it locks readers out.
    leader_.query(
        "SELECT homeward.identify_rows($1::oid)"
        " WHERE EXISTS (SELECT FROM pg_publication p WHERE p.pubdelete)",
        {partition.oid});
    const std::int64_t blocks = partition.is_packed ? kPackBlocksMax : kBlocksMax;
    for (std::int64_t at = first; at < blocks_of(partition); at += blocks) {
        erase_blocks(partition, at, at + blocks);
        on_block(at + blocks);
    }
}

bool Erasure::matches(const json& event) const {
    return std::all_of(conditions_.begin(), conditions_.end(), [&](const FieldValue& one) {
        const auto found =
            event.find(is_extra(one.field) ? one.field.substr(kExtra.size()) : one.field);
        return found != event.end() && is_value(*found, one.value);
    });
}

/// Returns the last one's number.
std::int64_t Erasure::match_letters(const QueryResult& letters, std::vector<std::int64_t>& matching,
                                    ErasureResult& result) const {
    std::int64_t last = 0;
    for (int i = 0; i < letters.rows(); ++i) {
        last = letters.number(i, 0);
        const std::string payload = bytes_of_bytea(letters.at(i, 1));
        const json event = json::parse(payload, nullptr, false);
        if (event.is_object()) {
            if (matches(event)) matching.push_back(last);
            continue;
        }
        const bool contains_all = std::all_of(
            conditions_.begin(), conditions_.end(),
            [&](const FieldValue& one) { return payload.find(one.value) != std::string::npos; });
        if (contains_all) result.doubtful_letters.push_back(last);
    }
    return last;
}

void Erasure::erase_letters(ErasureResult& result) {
    // All of them, also after a break: nobody was told yet which are doubtful.
    for (std::int64_t from = 0;;) {
        const QueryResult letters = leader_.query(
            "SELECT id, payload FROM homeward.dead_letter WHERE id > $1"
            " AND (type = $2 OR type IS NULL) AND state IN ('open', 'parked')"
            " ORDER BY id LIMIT $3",
            {from, type_.name, kLettersMax});
        if (letters.rows() == 0) return;
        std::vector<std::int64_t> matching;
        from = match_letters(letters, matching, result);
        result.dead_letters += static_cast<std::int64_t>(matching.size());
        if (id_ == 0 || matching.empty()) continue;
        leader_.execute("BEGIN");
        const QueryResult gone = leader_.query(
            "WITH gone AS (DELETE FROM homeward.dead_letter WHERE id = ANY ($1::int8[])"
            "  RETURNING origin, seq)"
            " SELECT count(*), homeward.record_erased(pg_catalog.array_agg(origin), "
            "pg_catalog.array_agg(seq)) FROM gone",
            {array_text(matching)});
        leader_.query("UPDATE homeward.erasure SET dead_letters = dead_letters + $2 WHERE id = $1",
                      {id_, gone.number(0, 0)});
        leader_.execute("COMMIT");
    }
}

void Erasure::erase_events(const Progress& on_progress) {
    const QueryResult reached =
        leader_.query("SELECT partition, block_next FROM homeward.erasure WHERE id = $1", {id_});
    const std::vector<Partition> parts = partitions();
    std::int64_t all = 0;
    for (const Partition& part : parts) all += blocks_of(part);
    const auto draw = [&](std::int64_t blocks) {
        if (!on_progress) return;
        on_progress(static_cast<std::size_t>(std::min(blocks, all) / kBlocksPerMib),
                    static_cast<std::size_t>(all / kBlocksPerMib));
    };
    std::int64_t before = 0;
    for (const Partition& part : parts) {
        const std::int64_t blocks = blocks_of(part);
        if (part.oid >= reached.number(0, 0)) {
            const bool is_begun = part.oid == reached.number(0, 0);
            erase_partition(part, is_begun ? reached.number(0, 1) : 0,
                            [&](std::int64_t at) { draw(before + std::min(at, blocks)); });
        }
        before += blocks;
    }
    draw(all);
}

/// Those with a time of no later than `until`. In one snapshot, which has each event once, wherever
/// it moves; of each partition the locks are given back, so that any number fits into the leader's
/// lock table.
std::int64_t Erasure::count_events(const std::string& until) {
    std::vector<Parameter> parameters = values();
    parameters.emplace_back(until);
    std::int64_t events = 0;
    leader_.execute("BEGIN ISOLATION LEVEL REPEATABLE READ");
    for (const Partition& part : partitions()) {
        const std::string source =
            part.is_packed ? "(" +
                                 PackedView(leader_, event_schema_, type_)
                                     .select_packs(event_columns(type_), "", part.name) +
                                 ")"
                           : part.name;
        leader_.execute("SAVEPOINT part");
        events +=
            leader_
                .query("SELECT count(*) FROM " + source + " e WHERE " + where_ +
                           " AND e.time <= $" + std::to_string(parameters.size()) + "::timestamptz",
                       parameters)
                .number(0, 0);
        leader_.execute("ROLLBACK TO SAVEPOINT part");
    }
    leader_.execute("COMMIT");
    return events;
}

ErasureResult Erasure::run(const Progress& on_progress) {
    begin();
    // Later events are not waited for: the person may be at work just now.
    const std::string begun_at(leader_.query("SELECT now()").at(0, 0));
    ErasureResult result;
    for (int pass = 1;; ++pass) {
        erase_events(on_progress);
        result = {};
        erase_letters(result);
        const std::int64_t left = count_events(begun_at);
        if (left == 0) break;
        leader_.query("UPDATE homeward.erasure SET partition = 0, block_next = 0 WHERE id = $1",
                      {id_});
        if (pass < kPassesMax) continue;
        throw LeaderError("55006",
                          std::to_string(left) + " events of type \"" + type_.name +
                              "\" have moved while they were erased, in each of " +
                              std::to_string(kPassesMax) +
                              " passes; erase again when repack, redrive and other erasures of "
                              "the type have ended",
                          "");
    }
    const QueryResult done = leader_.query(
        "UPDATE homeward.erasure SET completed_at = now(), digest = NULL WHERE id = $1"
        " RETURNING rows, dead_letters,"
        " (SELECT count(*) FROM homeward.conflict WHERE state = 'open')",
        {id_});
    result.rows = done.number(0, 0);
    result.dead_letters = done.number(0, 1);
    result.open_conflicts = done.number(0, 2);
    return result;
}

ErasureResult Erasure::count() {
    ErasureResult result;
    result.rows = count_events("infinity");
    erase_letters(result);
    result.open_conflicts =
        leader_.query("SELECT count(*) FROM homeward.conflict WHERE state = 'open'").number(0, 0);
    return result;
}

}  // namespace homeward::consumer
