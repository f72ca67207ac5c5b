#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "consumer/decode/pack_form.hpp"

namespace homeward::consumer {

/// Appends the texts, separated by kPackSeparator.
void join_texts(std::span<const std::string_view> texts, std::string& joined);

/// How many of `text` are kPackSeparator. Eight bytes at a time: std::count() takes four times as
/// long.
std::size_t count_separators(std::string_view text);

inline bool is_pack_null(std::string_view text) {
    return text.size() == 1 && text.front() == kPackNull;
}

}  // namespace homeward::consumer
