#include "guests/linux/linux_kernel.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/result.h"
#include "guests/linux/code_data.h"
#include "guests/linux/exported_symbols.h"
#include "guests/linux/vmcoreinfo.h"
#include "x86/linear_address.h"

namespace ringside::guests {
namespace {

// More CPUs than a machine of ours has, and as many as Linux may think of (NR_CPUS).
constexpr std::uint32_t kMostCpus = 8192;
constexpr std::size_t kLongestBanner = 512;
// How far behind the tables of symbols that of exports and its names are looked for.
constexpr std::size_t kExports = 16u << 20;

// The image from its first byte on: shown where memory can be as a whole, else copied, by as large
// pieces as are shown. A page that nobody has touched stays so.
struct ImageBytes {
  std::span<const std::byte> shown;
  std::vector<std::byte> copy;
};
ImageBytes image_bytes(hypervisor::Memory& memory, Gpa where, std::uint64_t most) {
  ImageBytes image;
  for (const hypervisor::MemoryRegion& region : memory.regions()) {
    const std::uint64_t offset = where.value - region.base.value;
    if (region.kind != hypervisor::MemoryKind::Ram || offset >= region.size) continue;
    const std::uint64_t size = std::min(most, region.size - offset);
    image.shown = memory.view(where, size);
    if (image.shown.size() == size) return image;
    image.copy.reserve(size);
    while (image.copy.size() < size) {
      const std::uint64_t at = image.copy.size();
      const std::span<const std::byte> piece = memory.view(where + at, size - at);
      if (!piece.empty()) {
        image.copy.insert(image.copy.end(), piece.begin(), piece.end());
        continue;
      }
      image.copy.resize(at + kPageSize);
      if (!memory.read_ram(where + at, std::span(image.copy).subspan(at))) break;
    }
    image.shown = image.copy;
  }
  return image;
}

// The segment that a 32-bit kernel has each CPU's own memory in (GDT_ENTRY_PERCPU of
// arch/x86/include/asm/segment.h): where it begins.
std::optional<std::uint64_t> cpus_segment(const KernelMemory& memory, const x86::CpuState& state) {
  constexpr std::uint64_t kEntry = 27;
  if (state.gdtr.limit < kEntry * 8 + 7) return std::nullopt;
  const auto descriptor = memory.get<std::uint64_t>(Gva{state.gdtr.base + kEntry * 8});
  if (!descriptor) return std::nullopt;
  // SDM 3A 3.4.5: the base in three pieces.
  return (*descriptor >> 16 & 0xffffff) | (*descriptor >> 56) << 24;
}

std::optional<std::uint64_t> number_after(std::string_view text, std::string_view key) {
  const std::size_t at = text.find(key);
  if (at == text.npos) return std::nullopt;
  std::uint64_t value = 0;
  const char* const begin = text.data() + at + key.size();
  const auto [end, error] = std::from_chars(begin, text.data() + text.size(), value, 16);
  if (error != std::errc() || end == begin) return std::nullopt;
  return value;
}

}  // namespace

Result<std::shared_ptr<const LinuxKernel>> LinuxKernel::find(hypervisor::Vm& vm) {
  const std::optional<KernelImage> image = find_kernel_image(vm);
  if (!image) {
    return fail(ErrorCode::NotFound,
                "no vCPU is in a Linux kernel, or has set up its system calls");
  }
  const Gva map = image->space.image_map;
  const auto part_from = [&](Gva first, std::uint64_t most) {
    return image_bytes(vm.memory(), Gpa{image->physical_base + (first.value - map.value)}, most);
  };
  Gva first = image->first;
  const std::uint64_t size = mapped_size(vm, *image);
  ImageBytes bytes = part_from(first, size);
  Result<Kallsyms> symbols = Kallsyms::find(bytes.shown, first, image->space);
  if (!symbols && size < kLargestImage) {
    // A user's page table may map little of it (page table isolation).
    bytes = part_from(first, kLargestImage);
    symbols = Kallsyms::find(bytes.shown, first, image->space);
  }
  if (!symbols && image->space.word == Word::Bits32 && first.value - map.value > kLinkedAt) {
    // The vCPU may be behind the tables, in code that runs once.
    first = first - kLinkedAt;
    bytes = part_from(first, kLargestImage);
    symbols = Kallsyms::find(bytes.shown, first, image->space);
  }
  if (!symbols) return fail(symbols.error());
  const auto by_cpu =
      TRY(KernelMemory::of(vm, image->vcpu, image->page_table.value, image->space.word));
  std::shared_ptr<LinuxKernel> kernel(new LinuxKernel(vm, *image, by_cpu));
  kernel->table_ = image->page_table.value;
  kernel->symbols_ = std::make_shared<const Kallsyms>(*std::move(symbols));
  kernel->take_symbols({bytes.shown, first});
  kernel->take_layouts();
  return std::shared_ptr<const LinuxKernel>(std::move(kernel));
}

bool LinuxKernel::is_there(const KernelImage& image) const {
  if (image.physical_base != image_.physical_base || image.five_levels != image_.five_levels ||
      image.space != image_.space)
    return false;
  const std::span<const std::byte> was = symbols_->tokens();
  const auto now = memory_.read(symbols_->tokens_at(), was.size());
  return now && std::ranges::equal(*now, was);
}

bool LinuxKernel::is_complete() const {
  return tasks_ && (modules_ || is_without_types()) && !vmcoreinfo_.empty();
}

Gva LinuxKernel::lowest() const {
  // Documentation/arch/x86/x86_64/mm.rst.
  constexpr Gva kKernelHalf{0xffff800000000000};
  return word() == Word::Bits64 ? kKernelHalf : image_.space.image_map;
}

void LinuxKernel::take_symbols(const ImagePart& image) {
  constexpr std::array<std::string_view, 19> kNames = {
      "_text",           "_stext",          "_etext",          "init_top_pgt",     "linux_banner",
      "__start_BTF",     "__stop_BTF",      "init_task",       "modules",          "do_init_module",
      "free_module",     "current_task",    "pcpu_hot",        "__per_cpu_offset", "nr_cpu_ids",
      "vmcoreinfo_data", "vmcoreinfo_size", "phys_startup_64", "swapper_pg_dir"};
  auto found = symbols_->addresses(kNames);
  const auto at = [&](std::string_view name) {
    return found[static_cast<std::size_t>(std::ranges::find(kNames, name) - kNames.begin())];
  };
  if (!at("init_task")) {
    // The kernel's symbols are those of code alone. Its exports have some of data, and lie behind.
    const std::uint64_t from = symbols_->tokens_at().value - image.first.value;
    const auto behind = image.bytes.subspan(from, std::min(kExports, image.bytes.size() - from));
    const auto exports = exported_symbols(behind, symbols_->tokens_at(), word());
    for (std::size_t i = 0; i < kNames.size(); ++i) {
      const auto exported = exports.find(kNames[i]);
      if (!found[i] && exported != exports.end()) found[i] = exported->second;
    }
  }
  init_task_ = at("init_task");
  take_kernels_table(at(word() == Word::Bits64 ? "init_top_pgt" : "swapper_pg_dir"), init_task_);
  text_ = at("_text").value_or(at("_stext").value_or(Gva{}));
  text_end_ = at("_etext").value_or(text_);
  if (text_end_ == text_ && symbols_->count() != 0) text_end_ = symbols_->last();
  type_begin_ = at("__start_BTF");
  type_end_ = at("__stop_BTF");
  module_list_ = at("modules");
  if (!module_list_) module_list_ = search_module_list(memory_, *symbols_);
  module_comes_ = at("do_init_module");
  module_goes_ = at("free_module");
  cpu_offsets_ = at("__per_cpu_offset");
  current_task_ = at("current_task");
  hot_ = at("pcpu_hot");
  take_banner(at("linux_banner"), image);
  if (const auto where = at("nr_cpu_ids")) cpus_ = memory_.get<std::uint32_t>(*where);
  if (cpus_) cpus_ = std::min(*cpus_, kMostCpus);
  take_vmcoreinfo(at("vmcoreinfo_data"), at("vmcoreinfo_size"));
  if (const auto said = vmcoreinfo_symbol(vmcoreinfo_, "swapper_pg_dir");
      said && word() == Word::Bits32)
    take_kernels_table(Gva{*said}, init_task_);
  // Where it was linked to be is a symbol that nobody moves, and else as all distributions have it.
  std::uint64_t linked = kLinkedAt;
  if (const auto start = at("phys_startup_64"); start && start->value < kLargestImage)
    linked = start->value;
  moved_by_ = text_.value - image_.space.image_map.value - linked;
  if (const auto said = number_after(vmcoreinfo_, "\nKERNELOFFSET=")) moved_by_ = *said;
}

// A process's page table need not have the kernel in it (page table isolation), and goes with it.
void LinuxKernel::take_kernels_table(std::optional<Gva> table, std::optional<Gva> probe) {
  const Gva map = image_.space.image_map;
  if (!table || *table < map || !probe) return;
  const std::uint64_t cr3 = table->value - map.value + image_.physical_base;
  const Result<KernelMemory> memory = KernelMemory::of(vm_, image_.vcpu, cr3, word());
  if (!memory || !memory->number(*probe)) return;
  memory_ = *memory;
  table_ = cr3;
}

void LinuxKernel::take_banner(std::optional<Gva> where, const ImagePart& image) {
  if (!where) {
    const std::string_view all(reinterpret_cast<const char*>(image.bytes.data()),
                               image.bytes.size());
    if (const auto offset = find_banner(all)) where = image.first + *offset;
  }
  if (where) banner_ = memory_.text(*where, kLongestBanner).value_or("");
  while (banner_.ends_with('?'))
    banner_.pop_back();
}

void LinuxKernel::take_vmcoreinfo(std::optional<Gva> data, std::optional<Gva> size) {
  std::optional<std::vector<std::byte>> bytes;
  if (data && size) {
    const auto text = memory_.pointer(*data);
    const auto length = memory_.number(*size);
    if (text && length && *length != 0 && *length <= kPageSize)
      bytes = memory_.read(*text, *length);
  } else if (const auto function = symbol("paddr_vmcoreinfo_note")) {
    // The function returns where the note is, by the variable that says it.
    for (const Gva variable : addresses_in_code(memory_, *function)) {
      const auto where =
          variable >= image_.space.image_map ? memory_.pointer(variable) : std::nullopt;
      const auto page =
          where && where->value % kPageSize == 0 ? memory_.read(*where, kPageSize) : std::nullopt;
      const auto text = page ? vmcoreinfo_note(*page) : std::nullopt;
      if (!text) continue;
      const auto shown = std::as_bytes(std::span(*text));
      bytes.emplace(shown.begin(), shown.end());
      break;
    }
  }
  for (const std::byte byte : bytes.value_or(std::vector<std::byte>())) {
    const char c = static_cast<char>(byte);
    vmcoreinfo_ += c == '\n' || (c >= ' ' && c <= '~') ? c : '?';
  }
}

Result<Btf> LinuxKernel::type_information() const {
  if (is_without_types()) {
    return fail(ErrorCode::NotFound,
                "the kernel has no type information (BTF) in its memory: it was built without "
                "CONFIG_DEBUG_INFO_BTF");
  }
  const std::uint64_t size = type_end_->value - type_begin_->value;
  if (size > Btf::kMostBytes) {
    return fail(ErrorCode::BadRequest,
                "the kernel's type information (BTF) is damaged: it is too large");
  }
  auto bytes = memory_.read(*type_begin_, size);
  if (!bytes)
    return fail(ErrorCode::BadAddress, "the kernel's type information (BTF) is not in memory");
  return Btf::parse(*std::move(bytes), word());
}

Result<ModuleLayout> LinuxKernel::modules() const {
  if (!is_without_types() || !module_list_) return modules_;
  return search_module_layout(memory_, *module_list_);
}

void LinuxKernel::take_layouts() {
  if (is_without_types() && init_task_) {
    tasks_ = search_task_layout(memory_, *symbols_, *init_task_);
    // struct pcpu_hot begins with it.
    if (!current_task_) current_task_ = hot_;
    modules_ = fail(type_information().error());
    return;
  }
  const Result<Btf> types = type_information();
  if (!types) {
    tasks_ = fail(types.error());
    modules_ = fail(types.error());
    return;
  }
  std::string missing;
  // A member by the first of its names that there is.
  const auto member = [&](std::string_view owner, std::initializer_list<std::string_view> names) {
    for (const std::string_view name : names)
      if (const auto place = types->member(owner, name)) return *place;
    if (missing.empty()) {
      missing = fmt::format("the kernel's type information has no {} in struct {}", *names.begin(),
                            owner);
    }
    return Btf::Place{};
  };
  TaskLayout task;
  task.state = member("task_struct", {"__state", "state"});
  task.exit_state = member("task_struct", {"exit_state"});
  task.pid = member("task_struct", {"pid"});
  task.tgid = member("task_struct", {"tgid"});
  task.comm = member("task_struct", {"comm"});
  task.tasks = member("task_struct", {"tasks"});
  task.thread_node = member("task_struct", {"thread_node"});
  task.signal = member("task_struct", {"signal"});
  task.thread_head = member("signal_struct", {"thread_head"});
  task.stack = member("task_struct", {"stack"});
  task.stack_pointer = member("task_struct", {"thread.sp"});
  task.mm = types->member("task_struct", "mm");
  if (hot_ && !current_task_) {
    const auto place = types->member("pcpu_hot", "current_task");
    if (place) current_task_ = *hot_ + place->offset;
  }
  if (missing.empty()) {
    tasks_ = task;
  } else {
    tasks_ = fail(ErrorCode::NotFound, std::exchange(missing, {}));
  }
  ModuleLayout module;
  module.state = member("module", {"state"});
  module.list = member("module", {"list"});
  module.name = member("module", {"name"});
  // Since 6.4 a module has its memory in parts, of which the code is the first.
  module.base = member("module", {"mem.base", "core_layout.base"});
  module.size = member("module", {"mem.size", "core_layout.size"});
  module.section_attributes = member("module", {"sect_attrs"});
  module.section_count = member("module_sect_attrs", {"nsections"});
  module.sections = member("module_sect_attrs", {"attrs"});
  module.section_name = member("module_sect_attr", {"battr.attr.name"});
  module.section_address = member("module_sect_attr", {"address"});
  module.section_size = types->size_of("module_sect_attr").value_or(0);
  if (missing.empty()) {
    modules_ = module;
  } else {
    modules_ = fail(ErrorCode::NotFound, std::move(missing));
  }
}

std::optional<LinuxKernel::Running> LinuxKernel::running(VcpuId vcpu) const {
  if (!cpu_offsets_ || !current_task_ || !cpus_) return std::nullopt;
  hypervisor::Vcpu& cpu = vm_.vcpu(vcpu);
  if (!cpu.active()) return std::nullopt;
  const Result<x86::CpuState> state = cpu.state();
  if (!state || x86::in_long_mode(*state) != (word() == Word::Bits64)) return std::nullopt;
  const Result<KernelMemory> memory = KernelMemory::of(vm_, vcpu, table_, word());
  if (!memory) return std::nullopt;
  // The CPU's own memory: in the kernel by GS, in a program by what GS will be; in a 32-bit kernel
  // by FS, and FS will be what one entry of the CPU's segments says. Which of the two is told by
  // the kernel's list of them.
  const bool is_wide = word() == Word::Bits64;
  const std::uint64_t bases[] = {
      state->seg(is_wide ? x86::SegmentName::Gs : x86::SegmentName::Fs).base,
      is_wide ? state->kernel_gs_base : cpus_segment(*memory, *state).value_or(0)};
  std::array<std::uint64_t, kPageSize / 8> known;
  for (std::uint32_t from = 0; from < *cpus_; from += known.size()) {
    const std::size_t count = std::min<std::size_t>(known.size(), *cpus_ - from);
    const std::span<std::uint64_t> offsets(known.data(), count);
    if (!memory->numbers(*cpu_offsets_ + std::uint64_t{size_of(word())} * from, offsets))
      return std::nullopt;
    for (const std::uint64_t base : bases) {
      const auto found = std::ranges::find(offsets, base);
      if (base == 0 || found == offsets.end()) continue;
      const auto task = memory->pointer(Gva{base} + current_task_->value);
      if (!task) return std::nullopt;
      return Running{*task, from + static_cast<std::uint32_t>(found - offsets.begin())};
    }
  }
  return std::nullopt;
}

namespace {

// Two moments between which a vCPU has run differ in it. Where instructions are not counted, the
// registers say so; who waits in a loop may have them as before.
std::vector<std::uint64_t> progress_of(hypervisor::Vm& vm) {
  std::vector<std::uint64_t> progress;
  for (std::uint32_t i = 0; i < vm.vcpu_count(); ++i) {
    hypervisor::Vcpu& vcpu = vm.vcpu({i});
    if (!vcpu.active()) continue;
    progress.push_back(i);
    if (const auto count = vcpu.instructions()) {
      progress.push_back(count->value);
    } else if (const auto state = vcpu.state()) {
      progress.insert(progress.end(), {state->rip, state->rflags, state->cr3});
      progress.insert(progress.end(), std::begin(state->gpr), std::end(state->gpr));
    }
  }
  return progress;
}

std::optional<std::uint64_t> executed_by(hypervisor::Vm& vm) {
  std::uint64_t sum = 0;
  for (std::uint32_t i = 0; i < vm.vcpu_count(); ++i) {
    const auto count = vm.vcpu({i}).instructions();
    if (!count) return std::nullopt;
    sum += count->value;
  }
  return sum;
}

// Where it lies. The table of pages is another one in each process.
bool is_same_image(const KernelImage& a, const KernelImage& b) {
  return a.physical_base == b.physical_base && a.first == b.first && a.space == b.space &&
         a.five_levels == b.five_levels;
}

}  // namespace

// Symbols are in the image from its first instruction on, so that a search of the same image finds
// nothing the next time, too, unless the guest has written another one over it.
bool LinuxKernels::still_holds(const Search& search, const Search& now) const {
  const bool is_same_moment = search.progress == now.progress;
  if (search.found) {
    const LinuxKernel& kernel = **search.found;
    return kernel.is_there(now.image) && (kernel.is_complete() || is_same_moment);
  }
  if (!is_same_image(search.image, now.image)) return false;
  if (is_same_moment) return true;
  if (!search.executed || !now.executed) return false;
  constexpr std::uint64_t kSoon = 50'000, kLate = 500'000'000;
  const std::uint64_t pause = std::clamp(*search.executed / 16, kSoon, kLate);
  return *now.executed >= *search.executed && *now.executed - *search.executed < pause;
}

Result<std::shared_ptr<const LinuxKernel>> LinuxKernels::now() {
  const std::optional<KernelImage> image = find_kernel_image(vm_);
  if (!image) return LinuxKernel::find(vm_);  // says so
  Search search{*image, progress_of(vm_), executed_by(vm_), fail(ErrorCode::NotFound, "")};
  if (last_ && still_holds(*last_, search)) return last_->found;
  ++searches_;
  search.found = LinuxKernel::find(vm_);
  last_ = std::move(search);
  return last_->found;
}

}  // namespace ringside::guests
