import './charts.css'

/** A line over values in equal steps; `label` says what a reader would see. */
export function Spark({
  values,
  label,
  width = 84,
  height = 22,
  fill = false,
}: {
  values: readonly number[]
  label: string
  width?: number
  height?: number
  fill?: boolean
}) {
  if (values.length < 2) return null
  const [low, high] = fill ? [0, Math.max(...values)] : [Math.min(...values), Math.max(...values)]
  const range = high - low || 1
  const points = values.map((value, at) => {
    const x = (at / (values.length - 1)) * (width - 4) + 2
    const y = height - 3 - ((value - low) / range) * (height - 6)
    return `${x.toFixed(1)} ${(high === low ? height / 2 : y).toFixed(1)}`
  })
  const line = `M${points.join('L')}`
  return (
    <svg
      class={`spark${fill ? ' wide' : ''}`}
      {...(fill ? { width: '100%', preserveAspectRatio: 'none' } : { width })}
      height={height}
      viewBox={`0 0 ${width} ${height}`}
      role="img"
      aria-label={label}
    >
      {fill && <path class="area" d={`${line}L${width - 2} ${height}L2 ${height}Z`} />}
      <path class="line" d={line} vector-effect="non-scaling-stroke" />
      {!fill && <circle cx={points.at(-1)?.split(' ')[0]} cy={points.at(-1)?.split(' ')[1]} r={2} />}
    </svg>
  )
}
