#pragma once

#include <array>

namespace homeward::consumer {

/// Every command that logs, errors, `check` and the status page tell an operator to run. They stand
/// here alone, so that remedies_test runs each as it is printed; runnable() adds the options.
namespace command {
inline constexpr const char* kCheck = "homeward-consumer check";
inline constexpr const char* kStreamsPlan = "homeward-consumer streams plan";
inline constexpr const char* kStreamsApply = "homeward-consumer streams apply";
inline constexpr const char* kSchemaPlan = "homeward-consumer schema plan";
inline constexpr const char* kSchemaApply = "homeward-consumer schema apply";
inline constexpr const char* kLeaderAccept = "homeward-consumer leader accept";
inline constexpr const char* kProof = "homeward-consumer proof";
inline constexpr const char* kDeadLettersList = "homeward-consumer dead-letters list";
inline constexpr const char* kDeadLettersSources = "homeward-consumer dead-letters sources";
inline constexpr const char* kConflictsList = "homeward-consumer conflicts list";
}  // namespace command

inline constexpr std::array kPrintedCommands{
    command::kCheck,         command::kStreamsPlan,     command::kStreamsApply,
    command::kSchemaPlan,    command::kSchemaApply,     command::kLeaderAccept,
    command::kProof,         command::kDeadLettersList, command::kDeadLettersSources,
    command::kConflictsList,
};

}  // namespace homeward::consumer
