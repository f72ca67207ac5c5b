#pragma once

/// @file
/// MongoDB's errors as causes, for any driver. Header only, without a dependency. Pure; any thread.

#include <string_view>

#include <homeward/replay/cause.hpp>

namespace homeward::replay {

/// The error label of a commitTransaction whose outcome nobody knows (MongoDB's driver
/// specifications, transactions).
inline constexpr std::string_view kUnknownCommit = "UnknownTransactionCommitResult";
/// The error label of a transaction that ended before its commit: nothing of it is done.
inline constexpr std::string_view kTransientTransaction = "TransientTransactionError";

namespace detail {

inline constexpr std::string_view kMongodbServer = "MongoDB 007ba934, error_codes.yml";
inline constexpr std::string_view kMongodbDriver = "libmongoc 1.x, mongoc-error.h";

}  // namespace detail

/// Codes with a rule, as command errors and write errors have them.
inline constexpr CodedCause<int> kMongodbCauses[] = {
    {10107, "NotWritablePrimary", Cause::read_only, detail::kMongodbServer},
    {13435, "NotPrimaryNoSecondaryOk", Cause::read_only, detail::kMongodbServer},
    {10058, "LegacyNotPrimary", Cause::read_only, detail::kMongodbServer},
    {189, "PrimarySteppedDown", Cause::read_only, detail::kMongodbServer},
    {371, "UserWritesBlocked", Cause::read_only, detail::kMongodbServer},

    {26, "NamespaceNotFound", Cause::unknown_name, detail::kMongodbServer},

    {24, "LockTimeout", Cause::conflict, detail::kMongodbServer},
    {112, "WriteConflict", Cause::conflict, detail::kMongodbServer},
    {239, "SnapshotTooOld", Cause::conflict, detail::kMongodbServer},
    {246, "SnapshotUnavailable", Cause::conflict, detail::kMongodbServer},
    {251, "NoSuchTransaction", Cause::conflict, detail::kMongodbServer},

    {7, "HostNotFound", Cause::connection, detail::kMongodbServer},
    {91, "ShutdownInProgress", Cause::connection, detail::kMongodbServer},
    {133, "FailedToSatisfyReadPreference", Cause::connection, detail::kMongodbServer},
    {134, "ReadConcernMajorityNotAvailableYet", Cause::connection, detail::kMongodbServer},
    {13436, "NotPrimaryOrSecondary", Cause::connection, detail::kMongodbServer},
    {13053, "MONGOC_ERROR_SERVER_SELECTION_FAILURE", Cause::connection, detail::kMongodbDriver},

    // They also end operations that are under way. A write of several documents may be half done.
    {6, "HostUnreachable", Cause::outcome_unknown, detail::kMongodbServer},
    {64, "WriteConcernTimeout", Cause::outcome_unknown, detail::kMongodbServer},
    {89, "NetworkTimeout", Cause::outcome_unknown, detail::kMongodbServer},
    {9001, "SocketException", Cause::outcome_unknown, detail::kMongodbServer},
    {11600, "InterruptedAtShutdown", Cause::outcome_unknown, detail::kMongodbServer},
    {11602, "InterruptedDueToReplStateChange", Cause::outcome_unknown, detail::kMongodbServer},
};

/// What an error of MongoDB means. Any thread.
/// @param code of a command error or a write error; 0 for no error. Not the code of a
///     writeConcernError: that write is done, and Cause::outcome_unknown says so
/// @param label kUnknownCommit or kTransientTransaction if the error has it
/// @return Cause::other for an error without a rule
constexpr Cause cause_of_mongodb(int code, std::string_view label = {}) {
    if (label == kUnknownCommit) return Cause::outcome_unknown;
    if (code == 0) return Cause::none;
    for (const auto& known : kMongodbCauses) {
        if (known.code != code) continue;
        const bool is_undone = label == kTransientTransaction;
        return is_undone && known.cause == Cause::outcome_unknown ? Cause::connection : known.cause;
    }
    return Cause::other;
}

}  // namespace homeward::replay
