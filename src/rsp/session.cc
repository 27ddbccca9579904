// qSupported QStartNoAckMode qHostInfo qAttached ! vAttach vRun R D k vKill. GDB manual, "General
// Query Packets" and "Packets".
#include "rsp/families.h"
#include "rsp/fields.h"

namespace ringside::rsp {
namespace {

// name+ name- name? name=value; nothing for what is none of these, which is then ignored.
std::optional<Feature> parse_feature(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == 0 || text.size() < 2) return std::nullopt;
  Feature feature;
  if (equals != std::string_view::npos) {
    feature.name = text.substr(0, equals);
    feature.value = text.substr(equals + 1);
    feature.support = Support::Value;
    return feature;
  }
  feature.name = text.substr(0, text.size() - 1);
  switch (text.back()) {
    case '+':
      feature.support = Support::Yes;
      return feature;
    case '-':
      feature.support = Support::No;
      return feature;
    case '?':
      feature.support = Support::Maybe;
      return feature;
    default:
      return std::nullopt;
  }
}

Request parse_supported(Fields fields) {
  if (!fields.at_end() && !fields.take(':')) return Malformed{"qSupported wants :feature;feature"};
  QuerySupported query;
  while (!fields.at_end()) {
    auto feature = parse_feature(fields.take_until(';'));
    if (feature) query.features.push_back(std::move(*feature));
  }
  return query;
}

}  // namespace

const Feature* QuerySupported::find(std::string_view name) const {
  for (const Feature& feature : features) {
    if (feature.name == name) return &feature;
  }
  return nullptr;
}

bool QuerySupported::announces(std::string_view name) const {
  const Feature* feature = find(name);
  return feature != nullptr && feature->support == Support::Yes;
}

Request parse_session(std::string_view payload) {
  Fields fields(payload.substr(1));
  if (payload.front() == '!') {
    if (!fields.at_end()) return Malformed{"! takes no argument"};
    return ExtendedMode{};
  }
  if (payload.front() == 'R') {
    const auto unused = fields.hex_bytes();
    if (!unused || unused->size() != 1) return Malformed{"R wants two hex digits"};
    return Restart{};
  }
  if (payload.front() == 'k') {
    if (!fields.at_end()) return Malformed{"k takes no argument"};
    return Kill{};
  }
  if (fields.at_end()) return Detach{};
  if (!fields.take(';')) return Malformed{"D wants ;process"};
  const auto process = fields.hex();
  if (!process || !fields.at_end()) return Malformed{"D wants ;process"};
  return Detach{*process};
}

Request parse_session_query(std::string_view payload) {
  Fields fields(payload);
  if (fields.take("qSupported")) return parse_supported(fields);
  if (payload == "QStartNoAckMode") return StartNoAckMode{};
  if (payload == "qHostInfo") return QueryHost{};
  if (fields.take("qAttached")) {
    if (fields.at_end()) return QueryAttached{};
    if (!fields.take(':') || !fields.hex() || !fields.at_end()) {
      return Malformed{"qAttached wants :process"};
    }
    return QueryAttached{};
  }
  if (fields.take("vRun")) {
    if (!fields.take(';')) return Malformed{"vRun wants ;program;arguments"};
    return Run{};
  }
  if (fields.take("vAttach")) {
    const auto process = fields.take(';') ? fields.hex() : std::nullopt;
    if (!process || !fields.at_end()) return Malformed{"vAttach wants ;process"};
    return Attach{*process};
  }
  if (!fields.take("vKill")) return Malformed{"the packet takes no argument"};
  if (!fields.take(';')) return Malformed{"vKill wants ;process"};
  const auto process = fields.hex();
  if (!process || !fields.at_end()) return Malformed{"vKill wants ;process"};
  return KillProcess{*process};
}

}  // namespace ringside::rsp
