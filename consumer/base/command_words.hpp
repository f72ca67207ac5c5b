#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <stdexcept>
#include <string>
#include <vector>

namespace homeward::consumer {

// What the commands that look after single things share: their words, and how they print.

/// A word of the command line that makes no sense; says which.
class UsageError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// Goes over a command's words. Borrows them.
class WordReader {
  public:
    WordReader(const std::vector<std::string>& words, std::size_t first)
        : words_(words), at_(first) {}
    bool next() {
        if (at_ >= words_.size()) return false;
        word_ = words_[at_++];
        return true;
    }
    const std::string& word() const { return word_; }
    /// The word behind this one, which next() then passes over.
    const std::string& value();

  private:
    const std::vector<std::string>& words_;
    std::size_t at_;
    std::string word_;
};

/// `what` names it in the error.
std::int64_t number_of(const std::string& text, const std::string& what);
/// One of `known`; none for "all".
std::vector<std::string> states_of(const std::string& text, const std::vector<std::string>& known);

/// As text of several lines; bytes that are no text are replaced.
std::string dumped(const nlohmann::json& value);
/// Each key with its value on a line.
void print_fields(const nlohmann::json& object);
/// key=value, all on one line.
void print_result(bool as_json, const nlohmann::json& result);

}  // namespace homeward::consumer
