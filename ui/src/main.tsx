import './style/tokens.css'
import './style/base.css'
import './style/parts.css'
import './style/forms.css'
import './style/shell.css'
import { render } from 'preact'
import './app/theme.ts'
import { App } from './app/app.tsx'

const box = document.querySelector('#app')
if (box !== null) render(<App />, box)
