#include "consumer/postgres/migrations.hpp"

#include <algorithm>
#include <sstream>

namespace homeward::consumer {
namespace {

/// The first migration that keeps checksums and objects; those before it were released in v0.1.0
/// and never change.
constexpr int kFirstWithChecksums = 9;

/// What is in the ledger's schema, without what differs between PostgreSQL versions: bodies of
/// functions as they were written, columns and keys by name. Without partitions, which are made and
/// dropped every day.
constexpr const char* kObjectsNow =
    "SELECT CASE WHEN c.relkind = 'v' THEN 'view' ELSE 'table' END, c.relname::text,"
    " string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod)"
    "            || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END, ', ' ORDER BY a.attnum)"
    " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
    " WHERE c.relnamespace = to_regnamespace('homeward') AND c.relkind IN ('r', 'p', 'v')"
    "  AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped"
    " GROUP BY c.oid, c.relkind, c.relname"
    " UNION ALL "
    "SELECT 'index', c.relname::text, CASE WHEN i.indisunique THEN 'unique ' ELSE '' END"
    " || t.relname || ' ' || i.indkey::text"
    " FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid"
    " WHERE c.relnamespace = to_regnamespace('homeward') AND NOT t.relispartition"
    " UNION ALL "
    "SELECT 'function', p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',"
    " md5(p.prosrc) || CASE WHEN p.prosecdef THEN ' definer' ELSE '' END"
    " FROM pg_proc p WHERE p.pronamespace = to_regnamespace('homeward')";

/// One line of v0.1.0.objects: version|kind|name|fingerprint.
struct ReleasedObject {
    int version;
    std::pair<std::string, std::string> key;
    std::string fingerprint;
};

std::vector<ReleasedObject> parse_released_objects() {
    std::vector<ReleasedObject> objects;
    std::istringstream lines{std::string(released_objects())};
    std::string version, kind, name, fingerprint;
    while (std::getline(lines, version, '|') && std::getline(lines, kind, '|') &&
           std::getline(lines, name, '|') && std::getline(lines, fingerprint)) {
        objects.push_back({std::stoi(version), {kind, name}, fingerprint});
    }
    return objects;
}

const Migration* known(int version) {
    const auto all = migrations();
    const auto found = std::find_if(all.begin(), all.end(),
                                    [&](const Migration& one) { return one.version == version; });
    return found == all.end() ? nullptr : &*found;
}

/// The first few by name, then how many more.
std::string listing(const std::vector<std::string>& names) {
    constexpr std::size_t kShown = 5;
    std::string text;
    for (std::size_t i = 0; i < std::min(names.size(), kShown); ++i) {
        text += (i == 0 ? "" : "; ") + names[i];
    }
    if (names.size() > kShown) text += "; and " + std::to_string(names.size() - kShown) + " more";
    return text;
}

[[noreturn]] void refuse(const std::string& what) {
    throw LeaderError("HW006",
                      what +
                          ". Homeward does not change such a database. Restore what differs from "
                          "the release that made it, or use a new database",
                      "");
}

}  // namespace

bool Migrations::exists(const std::string& relation) {
    return leader_.query("SELECT to_regclass('" + relation + "') IS NOT NULL").at(0, 0) == "t";
}

std::map<int, Migrations::Record> Migrations::applied() {
    std::map<int, Record> applied;
    if (!exists("homeward.migration")) return applied;
    const bool has_checksums =
        leader_
            .query(
                "SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid ="
                " to_regclass('homeward.migration') AND attname = 'checksum')")
            .at(0, 0) == "t";
    const QueryResult rows = leader_.query(std::string("SELECT version, name, ") +
                                           (has_checksums ? "coalesce(checksum, '')" : "''") +
                                           " FROM homeward.migration");
    for (int row = 0; row < rows.rows(); ++row) {
        applied[static_cast<int>(rows.number(row, 0))] = {std::string(rows.at(row, 1)),
                                                          std::string(rows.at(row, 2))};
    }
    return applied;
}

void Migrations::compare_texts(const std::map<int, Record>& applied) const {
    std::vector<std::string> differing;
    std::string unknown;
    for (const auto& [version, record] : applied) {
        const Migration* migration = known(version);
        if (migration == nullptr) {
            unknown = std::to_string(version) + " (" + record.name + ")";
        } else if (record.name != migration->name) {
            differing.push_back("migration " + std::to_string(version) + " ran as \"" +
                                record.name + "\", this consumer has \"" +
                                std::string(migration->name) + "\"");
        } else if (!record.checksum.empty() && record.checksum != migration->sha256) {
            differing.push_back("migration " + std::to_string(version) + " (" + record.name +
                                ") ran with checksum " + record.checksum.substr(0, 12) +
                                ", this consumer has " +
                                std::string(migration->sha256.substr(0, 12)));
        }
    }
    // First: a development version may have both, other files and higher numbers than this release.
    if (!differing.empty()) {
        refuse(
            "the leader was migrated by files that differ from this release's, perhaps by a "
            "development version: " +
            listing(differing));
    }
    if (!unknown.empty()) {
        throw LeaderError("HW003",
                          "the leader's ledger has migration " + unknown +
                              ", this consumer knows only up to " +
                              std::to_string(migrations().back().version) +
                              "; use the consumer that migrated it, or a newer one",
                          "");
    }
}

Migrations::Objects Migrations::objects_now() {
    const QueryResult rows = leader_.query(kObjectsNow);
    Objects objects;
    for (int row = 0; row < rows.rows(); ++row) {
        objects[{std::string(rows.at(row, 0)), std::string(rows.at(row, 1))}] = rows.at(row, 2);
    }
    return objects;
}

Migrations::Objects Migrations::recorded_objects() {
    const QueryResult rows =
        leader_.query("SELECT kind, name, fingerprint FROM homeward.migrated_object");
    Objects objects;
    for (int row = 0; row < rows.rows(); ++row) {
        objects[{std::string(rows.at(row, 0)), std::string(rows.at(row, 1))}] = rows.at(row, 2);
    }
    return objects;
}

void Migrations::compare_objects(const std::map<int, Record>& applied) {
    const Objects now = objects_now();
    std::vector<std::string> differing;
    const auto compare = [&](const std::pair<std::string, std::string>& key,
                             const std::string& fingerprint) {
        const auto found = now.find(key);
        if (found == now.end()) {
            differing.push_back(key.first + " " + key.second + " is missing");
        } else if (found->second != fingerprint) {
            differing.push_back(key.first + " " + key.second + " differs");
        }
    };
    if (applied.count(kFirstWithChecksums) != 0) {
        for (const auto& [key, fingerprint] : recorded_objects()) compare(key, fingerprint);
    } else {
        for (const ReleasedObject& object : parse_released_objects()) {
            if (applied.count(object.version) != 0) {
                compare(object.key, object.fingerprint);
            } else if (now.count(object.key) != 0) {
                differing.push_back(object.key.first + " " + object.key.second +
                                    " is there, but migration " + std::to_string(object.version) +
                                    ", which makes it, has not run");
            }
        }
    }
    if (!differing.empty()) {
        refuse("the leader's schema homeward is not what its migrations made: " +
               listing(differing));
    }
}

std::vector<const Migration*> Migrations::missing() {
    auto applied = this->applied();
    compare_texts(applied);
    for (;;) {
        try {
            compare_objects(applied);
            break;
        } catch (const LeaderError&) {
            // Somebody may have migrated between the two looks.
            auto meanwhile = this->applied();
            if (meanwhile == applied) throw;
            applied = std::move(meanwhile);
        }
    }
    std::vector<const Migration*> missing;
    for (const Migration& migration : migrations()) {
        if (applied.count(migration.version) == 0) missing.push_back(&migration);
    }
    return missing;
}

bool Migrations::is_missing(const Migration& migration) {
    return applied().count(migration.version) == 0;
}

std::string Migrations::statement(const Migration& migration) {
    const std::string version = std::to_string(migration.version);
    const std::string row = version + ", '" + std::string(migration.name) + "'";
    if (migration.version < kFirstWithChecksums) {
        return std::string(migration.sql) +
               ";\nINSERT INTO homeward.migration (version, name) VALUES (" + row + ")";
    }
    return std::string(migration.sql) +
           ";\nINSERT INTO homeward.migration (version, name, checksum) VALUES (" + row + ", '" +
           std::string(migration.sha256) + "')";
}

void Migrations::record(const Objects& before, const Objects& after) {
    for (const auto& [key, fingerprint] : after) {
        const auto found = before.find(key);
        if (found != before.end() && found->second == fingerprint) continue;
        leader_.query(
            "INSERT INTO homeward.migrated_object (kind, name, fingerprint) VALUES ($1, $2, $3)"
            " ON CONFLICT (kind, name) DO UPDATE SET fingerprint = excluded.fingerprint",
            {key.first, key.second, fingerprint});
    }
    for (const auto& [key, fingerprint] : before) {
        if (after.count(key) != 0) continue;
        leader_.query("DELETE FROM homeward.migrated_object WHERE kind = $1 AND name = $2",
                      {key.first, key.second});
    }
}

void Migrations::run(const Migration& migration) {
    Objects before = objects_now();
    leader_.execute(statement(migration));
    if (migration.version < kFirstWithChecksums) return;
    // The first to record records what ran before it, too. Only what those made: a user's own table
    // in this schema is no business of ours.
    if (migration.version == kFirstWithChecksums) {
        for (const ReleasedObject& object : parse_released_objects()) before.erase(object.key);
    }
    record(before, objects_now());
}

}  // namespace homeward::consumer
