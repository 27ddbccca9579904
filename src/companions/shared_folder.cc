#include "companions/shared_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/before_comma.h"

namespace ringside::companions {
namespace {

template <typename... Args>
tl::unexpected<Error> bad(fmt::format_string<Args...> format, Args&&... args) {
  return fail(ErrorCode::BadRequest, fmt::format(format, std::forward<Args>(args)...));
}

bool takes(std::string& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return false;
  text.resize(text.size() - suffix.size());
  return true;
}

// As mount(8) takes it without quotes, and no comma, which would end it.
bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.';
}

// The parts after the directory come in any order; a directory's name may have commas in it.
Result<SharedFolder> parse(const std::string& text, std::size_t number) {
  constexpr std::string_view kTag = ",tag=";
  constexpr std::size_t kMostShown = 60;
  SharedFolder folder{text, {}, share::Access::ReadWrite};
  bool has_tag = false;
  for (;;) {
    if (takes(folder.path, ",ro")) {
      folder.access = share::Access::ReadOnly;
      continue;
    }
    const std::size_t comma = folder.path.rfind(',');
    if (comma == std::string::npos || folder.path.compare(comma, kTag.size(), kTag) != 0) break;
    if (has_tag) return bad("--share: '{}' has two tags", text);
    has_tag = true;
    folder.tag = folder.path.substr(comma + kTag.size());
    folder.path.resize(comma);
  }
  if (!has_tag) folder.tag = fmt::format("share{}", number);
  if (folder.path.empty())
    return bad("--share: '{}' names no directory; type DIR[,tag=NAME][,ro]", text);
  if (const auto part = name_before_comma(folder.path)) {
    return bad("--share: there is no '{}'; behind '{}' there can be ,tag=NAME and ,ro", folder.path,
               *part);
  }
  if (folder.tag.empty() || folder.tag.size() > kLongestTag ||
      !std::all_of(folder.tag.begin(), folder.tag.end(), is_plain)) {
    const bool is_long = folder.tag.size() > kMostShown;
    return bad("--share: the tag '{}{}' is not 1 to {} letters, digits, '-', '_' or '.'",
               std::string_view(folder.tag).substr(0, kMostShown), is_long ? "..." : "",
               kLongestTag);
  }
  return folder;
}

}  // namespace

Result<std::vector<SharedFolder>> parse_shares(const std::vector<std::string>& texts) {
  std::vector<SharedFolder> folders;
  for (const std::string& text : texts) {
    SharedFolder folder = TRY(parse(text, folders.size()));
    for (const SharedFolder& other : folders) {
      if (other.tag == folder.tag)
        return bad("--share: two folders have the tag '{}'; ,tag=NAME tells them apart", other.tag);
    }
    folders.push_back(std::move(folder));
  }
  return folders;
}

}  // namespace ringside::companions
