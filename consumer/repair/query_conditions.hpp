#pragma once

#include <string>
#include <vector>

#include "consumer/postgres/pg_connection.hpp"

namespace homeward::consumer {

/// The conditions of a WHERE, and the parameters that they speak of.
class QueryConditions {
  public:
    /// `condition` has one ? for its value.
    void add(std::string condition, const std::string& value) {
        parameters_.emplace_back(value);
        condition.replace(condition.find('?'), 1, "$" + std::to_string(parameters_.size()));
        sql_ += " AND " + condition;
    }
    /// " AND …" for each; behind a condition that is there already.
    const std::string& sql() const { return sql_; }
    const std::vector<Parameter>& parameters() const { return parameters_; }

  private:
    std::string sql_;
    std::vector<Parameter> parameters_;
};

}  // namespace homeward::consumer
